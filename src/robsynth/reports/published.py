"""What others published, each figure with its source, and the paper's results beside our own."""

from pathlib import Path
from typing import Any

import yaml

from robsynth.errors import RequestError
from robsynth.metrics.figures import METRICS
from robsynth.records.record import load_record
from robsynth.reports.tables import Table

PAPER = "the paper"


def load_published(path: Path) -> list[dict[str, Any]]:
    """The entries of a file of published figures; each has at least `result`, `source` and `verified`."""
    try:
        entries = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RequestError(f"{path}: not a readable file of published figures ({error})") from None
    for entry in entries:
        if missing := [key for key in ("result", "source", "verified") if key not in entry]:
            raise RequestError(f"{path}: {entry.get('result', 'an entry')} has no {missing[0]}")
    return entries


def results_table(path: Path, beside: Path) -> Table:
    """For each result of the paper: how to have it, what that needs, what was published, what we measured.

    Records that entries name in `ours` are found relative to the directory `beside`.
    """
    rows = [
        [
            entry["result"],
            f"`{entry['command']}`",
            entry["needs"],
            _published(entry),
            "; ".join(_ours(one, beside) for one in entry.get("ours", [])) or "not run",
        ]
        for entry in load_published(path)
        if entry.get("system") == PAPER
    ]
    header = ["result", "command", "needs", "published", "ours, at laptop scale"]
    return Table("The paper's results", header, rows, [], left=True)


def _published(entry: dict[str, Any]) -> str:
    if entry.get("value") is None:
        return "pictures"
    metric = METRICS[entry["metric"]].title
    return f"{metric} {entry['value']:g}" + ("" if entry["verified"] else " (unverified)")


def _ours(one: dict[str, Any], beside: Path) -> str:
    """A figure of a record, with a link to its report, or why it is not to be had."""
    record = load_record(beside / one["record"])
    metric = METRICS[one["metric"]]
    report = Path(one["record"]).with_name("tables.md").as_posix()
    for figure in record.figures:
        if figure["subject"] == one["subject"] and figure["metric"] == one["metric"]:
            unit = {"dB": " dB", "x 1000": " x 0.001"}.get(metric.unit, "")
            value = "not available" if figure["value"] is None else f"{figure['value']:.{metric.digits}f}{unit}"
            return f"{one['subject'].replace('_', ' ')}: {metric.title} {value} ([{record.experiment}]({report}))"
    raise RequestError(f"{one['record']}: has no {one['metric']} of {one['subject']}")
