"""A figure and the protocol it was measured under; neither goes anywhere without the other."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import Any

from robsynth.errors import RequestError


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured. Figures may stand in one column only if their protocols have one name."""

    name: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One measured number: of what, which metric, under which protocol; or why there is none.

    `count` is the number of images; `interval` 95 % of confidence, `spread` the standard deviation over splits or
    subsets, `error` a standard error; `per_class` the same metric class by class; `at` the setting that this point of
    a curve stands for, e.g. {"steps": 20}.
    """

    subject: str
    metric: str
    value: float | None
    protocol: Protocol
    count: int | None = None
    spread: float | None = None
    error: float | None = None
    interval: tuple[float, float] | None = None
    per_class: dict[str, float] | None = None
    at: dict[str, float] | None = None
    why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-like, with the protocol's name for the protocol."""
        found = {**asdict(self), "protocol": self.protocol.name}
        if self.interval is not None:
            found["interval"] = list(self.interval)
        return {key: value for key, value in found.items() if value is not None or key == "value"}


@dataclass(frozen=True)
class Metric:
    """What a metric is called, what it is measured in, and which way is better."""

    title: str
    unit: str
    better: str
    digits: int


SHARE = "share of images"
METRICS = {
    "fid": Metric("FID", "squared feature distance", "lower", 1),
    "fid_infinity": Metric("FID, extrapolated", "squared feature distance", "lower", 1),
    "class_fid": Metric("FID within classes", "squared feature distance, mean over classes", "lower", 1),
    "kid": Metric("KID", "x 1000", "lower", 1),
    "is": Metric("Inception Score", "1 to the number of the extractor's classes", "higher", 2),
    "is_share": Metric("of the real data's score", "share", "higher", 3),
    "precision": Metric("precision", SHARE, "higher", 3),
    "recall": Metric("recall", SHARE, "higher", 3),
    "density": Metric("density", "1 for the real distribution", "higher", 3),
    "coverage": Metric("coverage", SHARE, "higher", 3),
    "judge_score": Metric("judge's score", "1 to the number of classes", "higher", 2),
    "judge_score_share": Metric("of the real data's judge's score", "share", "higher", 3),
    "judge_share": Metric("wanted class", SHARE, "higher", 3),
    "psnr": Metric("PSNR", "dB", "higher", 2),
    "ssim": Metric("SSIM", "-1 to 1", "higher", 3),
    "lpips": Metric("LPIPS", "perceptual distance", "lower", 3),
    "psnr_masked": Metric("PSNR in the hole", "dB", "higher", 2),
    "ssim_masked": Metric("SSIM in the hole", "-1 to 1", "higher", 3),
    "lpips_masked": Metric("LPIPS of the hole", "perceptual distance", "lower", 3),
    "copies": Metric("copies of training images", "images", "lower", 0),
    "memorised": Metric("nearer to a training image than 99 % of held-out images", SHARE, "lower", 3),
    "clean_accuracy": Metric("clean accuracy", SHARE, "higher", 4),
    "robust_accuracy": Metric("robust accuracy", SHARE, "higher", 4),
}
FIGURE_COLUMNS = (
    "subject", "metric", "at", "value", "low", "high", "spread", "error", "count", "seeds", "protocol", "why",
)  # fmt: skip


def best(figures: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The best of figures of one metric that all have a value, the first of several."""
    choose = max if METRICS[figures[0]["metric"]].better == "higher" else min
    return choose(figures, key=lambda figure: figure["value"])


def seeds_interval(values: Sequence[float]) -> tuple[float, float, tuple[float, float]]:
    """Mean, standard deviation (of n - 1) and Student's 95 % interval of the mean, of a figure for several seeds.

    Deviation and interval are NaN if one is infinite, such as the PSNR of a copy. A RequestError if there are no two.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        raise RequestError(f"seeds: found {n} figures, allowed: at least 2, as fewer have no spread")
    mean, spread = fmean(values), stdev(values) if all(map(math.isfinite, values)) else math.nan
    reach = float(stdtrit(n - 1, 0.975)) * spread / n**0.5
    return mean, spread, (mean - reach, mean + reach)


def figure_key(figure: Mapping[str, Any]) -> str:
    """The stable name of a figure: subject/metric/protocol, and for a point of a curve the setting it stands for."""
    return "/".join(filter(None, (figure["subject"], figure["metric"], figure["protocol"], setting_of(figure))))


def setting_of(figure: Mapping[str, Any], between: str = "=") -> str:
    """The setting that a point of a curve stands for; empty for other figures."""
    return " ".join(f"{key}{between}{value:g}" for key, value in (figure.get("at") or {}).items())


def interval_of(figure: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a figure that has a finite one; that of an infinite PSNR says nothing."""
    low, high = figure.get("interval") or (math.nan, math.nan)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def figure_row(figure: Mapping[str, Any]) -> dict[str, Any]:
    """A figure under the names of `FIGURE_COLUMNS`."""
    low, high = interval_of(figure) or (None, None)
    return {**figure, "low": low, "high": high, "at": setting_of(figure), "seeds": figure.get("seeds", 1)}


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A line of names, then a line a row; what a row lacks is left empty."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()
