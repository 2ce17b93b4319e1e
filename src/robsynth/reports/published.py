"""What others published, each figure with its source, and our own figures beside it."""

from pathlib import Path
from typing import Any

import yaml

import robsynth
from robsynth.errors import RequestError
from robsynth.records.figures import METRICS
from robsynth.records.record import Record, load_record
from robsynth.reports.tables import Cell, Table, figure_cell, is_point, metric_title

PAPER = "the paper"
KEYS = ("result", "metric", "value", "data", "system", "protocol", "source", "verified")
# Whose figure is set beside a published one, unless the entry says it.
SUBJECTS = {"clean_accuracy": "robust classifier", "robust_accuracy": "robust classifier"}


def published_file() -> Path:
    """`experiments/published.yaml` of the clone, or the installed package's copy."""
    package = Path(robsynth.__file__).parent
    places = (package / "published.yaml", package.parents[1] / "experiments" / "published.yaml")
    return next(path for path in places if path.is_file())


def load_published(path: Path) -> list[dict[str, Any]]:
    """The entries of a file of published figures; `value` and `metric` are None for what was shown as pictures.

    Raises
    ------
    RequestError
        If the file cannot be read, or for the first entry that lacks a key or has a wrong one.
    """
    try:
        entries = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RequestError(f"{path}: not a readable file of published figures ({error})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RequestError(f"{path}: found something else, allowed: a list of entries with {', '.join(KEYS)}")
    for entry in entries:
        _check(f"{path}: {entry.get('result', 'an entry')}", entry)
    return entries


def _check(where: str, entry: dict[str, Any]) -> None:
    if missing := [key for key in KEYS if key not in entry]:
        raise RequestError(f"{where} has no {missing[0]}")
    metric, value, verified = entry["metric"], entry["value"], entry["verified"]
    if not isinstance(verified, bool):
        raise RequestError(f"{where}: verified: found {verified!r}, allowed: true, false")
    if metric not in (None, *METRICS):
        raise RequestError(f"{where}: metric: found {metric!r}, allowed: null, {', '.join(METRICS)}")
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise RequestError(f"{where}: value: found {value!r}, allowed: a number, null")
    if (value is None) != (metric is None):
        raise RequestError(f"{where}: found metric {metric} with value {value}, allowed: both, or neither")


# Metrics that mean the Inception network where nothing else is said.
INCEPTIONS = ("fid", "kid", "is")


def beside_ours(record: Record) -> list[Table]:
    """What was published about the record's data: first what this project can repeat, with our figures, then the rest.

    A published figure never stands in a column with one that was measured.
    """
    entries = [entry for entry in load_published(published_file()) if _data_set(entry) == record.data.get("name")]
    ours = [
        _beside(entry, figure)
        for entry in entries
        if "experiment" in entry
        for figure in record.figures
        if not is_point(figure)
        and (figure["subject"], figure["metric"]) in _ours_of(entry)
        and _comparable(entry, figure, record)
    ]
    others = [_alone(entry) for entry in entries if "experiment" not in entry]
    beside = ["result", "metric", "reported", "its source and protocol", "ours", "images", "seeds", "our protocol"]
    alone = ["system", "metric", "reported", "its source and protocol"]
    tables = [
        Table("Reported beside ours", beside, ours, ["What is reported was published, and not measured here: it "
              "compares with ours only as far as data, network, protocol and number of images are the same."], 4),
        Table("Published by others, not measured here", alone, others, words=4),
    ]  # fmt: skip
    return [table for table in tables if table.rows]


def _data_set(entry: dict[str, Any]) -> str:
    """`CIFAR-10, 32 px` is about the data set cifar10."""
    return str(entry["data"].split(",")[0].lower().replace("-", "").replace(" ", "_"))


def _ours_of(entry: dict[str, Any]) -> set[tuple[str, str]]:
    """Subject and metric of the figures of ours that may stand beside this one; any where only pictures are known."""
    metric = entry["metric"]
    named = {(one["subject"], one["metric"]) for one in entry.get("ours", ()) if metric in (None, one["metric"])}
    return named or {(SUBJECTS.get(metric, "generation"), metric)}


def _comparable(entry: dict[str, Any], figure: dict[str, Any], record: Record) -> bool:
    """Whether ours is the same quantity: of the network that the metric is named after, of a classifier of that eps."""
    if "eps" in entry and record.config.get("adversary", {}).get("eps") != entry["eps"]:
        return False
    extractor = record.protocols[figure["protocol"]].get("extractor", "Inception")
    return entry["metric"] not in INCEPTIONS or str(extractor).startswith("Inception")


def _beside(entry: dict[str, Any], figure: dict[str, Any]) -> list[Cell]:
    return [
        Cell(entry["result"]),
        Cell(metric_title(figure["metric"])),
        *_reported(entry),
        figure_cell(figure),
        Cell(str(figure.get("count", ""))),
        Cell("1"),
        Cell(f"`{figure['protocol']}`"),
    ]


def _alone(entry: dict[str, Any]) -> list[Cell]:
    return [Cell(entry["system"]), Cell(metric_title(entry["metric"])), *_reported(entry)]


def _reported(entry: dict[str, Any]) -> list[Cell]:
    """The published figure in our unit, and where it is from."""
    source = f"{entry['source']}; {entry['protocol'] or 'protocol not known'}"
    if entry["value"] is None:
        return [Cell("pictures"), Cell(entry["source"])]
    value = entry["value"] / 100 if entry.get("unit") == "%" else entry["value"]
    return [Cell(f"{value:.6g}{_doubt(entry)}"), Cell(source)]


def _doubt(entry: dict[str, Any]) -> str:
    return "" if entry["verified"] else " (unverified)"


def results_table(path: Path, beside: Path) -> Table:
    """For each result of the paper: how to have it, what that needs, what was published, what we measured.

    Records that entries name in `ours` are found relative to the directory `beside`.
    """
    rows = [
        [
            Cell(entry["result"]),
            Cell(f"`{entry['command']}`"),
            Cell(entry["needs"]),
            Cell(_published(entry)),
            Cell("; ".join(_ours(one, beside) for one in entry.get("ours", [])) or "not run"),
        ]
        for entry in load_published(path)
        if entry["system"] == PAPER
    ]
    header = ["result", "command", "needs", "published", "ours, at laptop scale"]
    return Table("The paper's results", header, rows, words=len(header))


def _published(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "pictures"
    return f"{METRICS[entry['metric']].title} {entry['value']:g}{_doubt(entry)}"


def _ours(one: dict[str, Any], beside: Path) -> str:
    """A figure of a record, with a link to its report, or why it is not to be had."""
    record = load_record(beside / one["record"])
    metric = METRICS[one["metric"]]
    report = Path(one["record"]).with_name("tables.md").as_posix()
    for figure in record.figures:
        if (figure["subject"], figure["metric"]) == (one["subject"], one["metric"]) and not is_point(figure):
            unit = {"dB": " dB", "x 1000": " x 0.001"}.get(metric.unit, "")
            value = "not available" if figure["value"] is None else f"{figure['value']:.{metric.digits}f}{unit}"
            return f"{one['subject'].replace('_', ' ')}: {metric.title} {value} ([{record.experiment}]({report}))"
    raise RequestError(f"{one['record']}: has no {one['metric']} of {one['subject']}")
