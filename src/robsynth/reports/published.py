"""What others published, each figure with its source, and our own figures beside it."""

from pathlib import Path
from typing import Any

import yaml

import robsynth
from robsynth.errors import RequestError
from robsynth.records.figures import METRICS
from robsynth.records.record import Record
from robsynth.reports.tables import Cell, Figure, Table, by_key, cells, figure_cell, metric_title

# What an entry has to have, which values or types are right, and how to say so.
SCHEMA: dict[str, tuple[list[Any], str]] = {
    **dict.fromkeys(("result", "data", "system", "source"), ([str], "a text")),
    "metric": ([None, *METRICS], f"null, {', '.join(METRICS)}"),
    "value": ([int, float, None], "a number, null"),
    "protocol": ([str, None], "a text, null"),
    "verified": ([bool], "true, false"),
}


def published_file() -> Path:
    """`experiments/published.yaml` of the clone, or the installed package's copy."""
    package = Path(robsynth.__file__).parent
    places = (package / "published.yaml", package.parents[1] / "experiments" / "published.yaml")
    return next(path for path in places if path.is_file())


def load_published(path: Path) -> list[dict[str, Any]]:
    """The entries of a file of published figures; `value` and `metric` are None for what was shown as pictures.

    A RequestError names a file that cannot be read, or the first entry that lacks a key or has a wrong one.
    """
    try:
        entries = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RequestError(f"{path}: not a readable file of published figures ({error})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RequestError(f"{path}: found something else, allowed: a list of entries with {', '.join(SCHEMA)}")
    for entry in entries:
        where = f"{path}: {entry.get('result', 'an entry')}"
        for key, (right, allowed) in SCHEMA.items():
            if key not in entry:
                raise RequestError(f"{where} has no {key}")
            if entry[key] not in right and type(entry[key]) not in right:
                raise RequestError(f"{where}: {key}: found {entry[key]!r}, allowed: {allowed}")
        metric, value = entry["metric"], entry["value"]
        if (value is None) != (metric is None):
            raise RequestError(f"{where}: found metric {metric} with value {value}, allowed: both, or neither")
    return entries


def beside_ours(record: Record) -> list[Table]:
    """What was published about the record's data: first what this project can repeat, with our figures, then the rest.

    A published figure never stands in a column with one that was measured.
    """
    # `CIFAR-10, 32 px` is about the data set cifar10.
    entries = [entry for entry in load_published(published_file()) if record.data.get("name")
               == entry["data"].split(",")[0].lower().replace("-", "").replace(" ", "_")]  # fmt: skip
    ours = [
        cells(
            entry["result"], metric_title(figure["metric"]), *_reported(entry), figure_cell(figure),
            str(figure.get("count", "")), "1", f"`{figure['protocol']}`",
        )
        for entry in entries if "experiment" in entry
        for figure in by_key(record.figures).values() if _comparable(entry, figure, record)
    ]  # fmt: skip
    others = [
        cells(entry["system"], metric_title(entry["metric"]), *_reported(entry))
        for entry in entries if "experiment" not in entry
    ]  # fmt: skip
    beside = ["result", "metric", "reported", "its source and protocol", "ours", "images", "seeds", "our protocol"]
    tables = [
        Table("Reported beside ours", beside, ours, ["What is reported was published, and not measured here: it "
              "compares with ours only as far as data, network, protocol and number of images are the same."], 4),
        Table("Published by others, not measured here", ["system", *beside[1:4]], others, words=4),
    ]  # fmt: skip
    return [table for table in tables if table.rows]


def _comparable(entry: dict[str, Any], figure: Figure, record: Record) -> bool:
    """Whether ours is the same quantity: of the network that the metric is named after, of a classifier of that eps.

    Where only pictures are known, any figure may stand beside them that the entry names.
    """
    metric = entry["metric"]
    named = {(one["subject"], one["metric"]) for one in entry.get("ours", ()) if metric in (None, one["metric"])}
    usual = ("robust classifier" if str(metric).endswith("_accuracy") else "generation", metric)
    extractor = record.protocols[figure["protocol"]].get("extractor", "Inception")
    return (
        (figure["subject"], figure["metric"]) in (named or {usual})
        and entry.get("eps") in (None, record.config.get("adversary", {}).get("eps"))
        # These mean the Inception network where nothing else is said.
        and (metric not in ("fid", "kid", "is") or str(extractor).startswith("Inception"))
    )


def _reported(entry: dict[str, Any]) -> list[Cell]:
    """The published figure, and where it is from."""
    protocol = "" if entry["value"] is None else f"; {entry['protocol'] or 'protocol not known'}"
    return cells(_value(entry), entry["source"] + protocol)


def _value(entry: dict[str, Any]) -> str:
    """The published figure in our unit."""
    if entry["value"] is None:
        return "pictures"
    value = entry["value"] / 100 if entry.get("unit") == "%" else entry["value"]
    return f"{value:.6g}" + ("" if entry["verified"] else " (unverified)")


def results_table(path: Path, beside: Path) -> Table:
    """For each result of the paper: how to have it, what that needs, what was published, what we measured.

    Records that entries name in `ours` are found relative to the directory `beside`.
    """
    rows = [
        cells(
            entry["result"], f"`{entry['command']}`", entry["needs"],
            (f"{METRICS[entry['metric']].title} " if entry["metric"] else "") + _value(entry),
            "; ".join(_ours(one, beside) for one in entry.get("ours", [])) or "not run",
        )
        for entry in load_published(path) if entry["system"] == "the paper"
    ]  # fmt: skip
    header = ["result", "command", "needs", "published", "ours, at laptop scale"]
    return Table("The paper's results", header, rows, words=len(header))


def _ours(one: dict[str, Any], beside: Path) -> str:
    """A figure of a record, with a link to its report, or why it is not to be had."""
    record, metric = Record.load(beside / one["record"]), METRICS[one["metric"]]
    report = Path(one["record"]).with_name("tables.md").as_posix()
    for (subject, name, _), figure in by_key(record.figures).items():
        if (subject, name) == (one["subject"], one["metric"]):
            unit = {"dB": " dB", "x 1000": " x 0.001"}.get(metric.unit, "")
            value = "not available" if figure["value"] is None else f"{figure['value']:.{metric.digits}f}{unit}"
            return f"{subject.replace('_', ' ')}: {metric.title} {value} ([{record.experiment}]({report}))"
    raise RequestError(f"{one['record']}: has no {one['metric']} of {one['subject']}")
