"""Figures under stable names, and as rows of a CSV file."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIGURE_COLUMNS = (
    "subject", "metric", "at", "value", "low", "high", "spread", "error", "count", "seeds", "protocol", "why",
)  # fmt: skip


def figure_key(figure: Mapping[str, Any]) -> str:
    """The stable name of a figure: subject/metric/protocol, and for a point of a curve the setting it stands for."""
    return "/".join(filter(None, (figure["subject"], figure["metric"], figure["protocol"], _setting(figure))))


def _setting(figure: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value:g}" for key, value in (figure.get("at") or {}).items())


def interval_of(figure: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a figure that has a finite one; that of an infinite PSNR says nothing."""
    low, high = figure.get("interval") or (math.nan, math.nan)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def figure_row(figure: Mapping[str, Any]) -> dict[str, Any]:
    """A figure under the names of `FIGURE_COLUMNS`."""
    low, high = interval_of(figure) or (None, None)
    return {**figure, "low": low, "high": high, "at": _setting(figure), "seeds": figure.get("seeds", 1)}


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A line of names, then a line a row; what a row lacks is left empty."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()
