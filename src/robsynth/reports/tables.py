"""Tables of figures; one column never holds two protocols."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robsynth.records.figures import METRICS
from robsynth.records.record import Record
from robsynth.records.rows import interval_of

# The tables of a record, each with its metrics in order.
TABLES = {
    "Classifiers": ("clean_accuracy", "robust_accuracy"),
    "Sets of images": ("fid", "fid_infinity", "class_fid", "kid", "is", "is_share"),
    "Fidelity and variety": ("precision", "recall", "density", "coverage"),
    "Images that are in the training data": ("copies", "memorised"),
    "What the judge says": ("judge_score", "judge_score_share", "judge_share"),
    "Against the original": ("psnr", "ssim", "lpips"),
    "Against the original, inside the hole": ("psnr_masked", "ssim_masked", "lpips_masked"),
}


@dataclass(frozen=True)
class Cell:
    """A text, and after it how far the figure may be off; `title` says more to those who ask."""

    text: str
    range: str = ""
    title: str = ""
    best: bool = False

    def __str__(self) -> str:
        return f"{self.text} {self.range}".strip()


@dataclass(frozen=True)
class Table:
    """Cells ready for any format. The first `words` columns begin at their left, figures end at their right."""

    title: str
    header: list[str]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)
    words: int = 1


@dataclass(frozen=True)
class Column:
    metric: str
    protocol: str


def is_point(figure: Mapping[str, Any]) -> bool:
    """Whether a figure is a point of a curve, which stands in no ordinary table."""
    return figure.get("at") is not None


def figures_table(record: Record, title: str, metrics: tuple[str, ...]) -> Table | None:
    """Subjects down, a column for each protocol under which one of `metrics` was measured; None without any."""
    found = [figure for figure in record.figures if figure["metric"] in metrics and not is_point(figure)]
    in_order = sorted(found, key=lambda figure: metrics.index(figure["metric"]))
    columns = list(dict.fromkeys(Column(figure["metric"], figure["protocol"]) for figure in in_order))
    if not columns:
        return None
    measured = {(figure["subject"], Column(figure["metric"], figure["protocol"])): figure for figure in found}
    rows = [
        [Cell(subject_title(subject)), *[figure_cell(measured.get((subject, column))) for column in columns]]
        for subject in dict.fromkeys(figure["subject"] for figure in found)
    ]
    headings = [_heading(column, columns) for column in columns]
    return Table(title, ["", *headings], rows, [_protocols(headings, columns)])


def _protocols(headings: list[str], columns: list[Column]) -> str:
    """Each protocol once, after all columns that it holds for."""
    under: dict[str, list[str]] = {}
    for heading, column in zip(headings, columns, strict=True):
        under.setdefault(column.protocol, []).append(heading)
    return "Protocols: " + "; ".join(f"{', '.join(found)}: `{protocol}`" for protocol, found in under.items()) + "."


def subject_title(subject: str) -> str:
    return subject.replace("_", " ") if subject != "wgan_gp" else "WGAN-GP"


def metric_title(metric: str) -> str:
    """The metric's name, its unit where a figure means nothing without it, and which way is better."""
    known = METRICS[metric]
    unit = f", {known.unit}" if known.unit in ("dB", "x 1000") else ""
    return f"{known.title}{unit} {'↑' if known.better == 'higher' else '↓'}"


def _heading(column: Column, columns: list[Column]) -> str:
    same = [other for other in columns if other.metric == column.metric]
    title, space, arrow = metric_title(column.metric).rpartition(" ")
    return f"{title} ({same.index(column) + 1}){space}{arrow}" if len(same) > 1 else f"{title}{space}{arrow}"


def figure_cell(figure: Mapping[str, Any] | None) -> Cell:
    """Value and 95 % interval, or else spread, in the metric's digits; the protocol for its title."""
    if figure is None:
        return Cell("")
    if figure["value"] is None:
        return Cell("n/a", title=f"{figure['protocol']}; {figure.get('why', 'not measured')}")
    return Cell(_number(figure, figure["value"]), _range(figure), _about(figure))


def _number(figure: Mapping[str, Any], value: float) -> str:
    return f"{value:.{METRICS[figure['metric']].digits}f}"


def _range(figure: Mapping[str, Any]) -> str:
    seeds = figure.get("seeds", 1) > 1
    spread, interval = figure.get("spread"), interval_of(figure)
    parts = []
    if spread is not None and (seeds or interval is None):
        parts.append(f"± {_number(figure, spread)}")
    if interval is not None:
        parts.append(f"[{_number(figure, interval[0])}, {_number(figure, interval[1])}]")
    return " ".join(parts)


def _about(figure: Mapping[str, Any]) -> str:
    parts = [figure["protocol"]]
    if figure.get("count") is not None:
        parts.append(f"{figure['count']} images")
    if figure.get("seeds", 1) > 1:
        parts.append(f"mean, standard deviation and 95 % t-interval of {figure['seeds']} seeds")
    elif interval_of(figure) is not None:
        parts.append("95 % interval")
    elif figure.get("spread") is not None:
        parts.append("± standard deviation")
    if figure.get("error") is not None:
        parts.append(f"standard error {figure['error']:.3g}")
    return "; ".join(parts)


def all_tables(record: Record) -> list[Table]:
    """The tables of a record's figures, those that have rows."""
    tables = [figures_table(record, title, metrics) for title, metrics in TABLES.items()]
    return [table for table in tables if table is not None]


def costs_table(record: Record) -> Table:
    """What each stage took."""

    def row(name: str, wall: float, cpu: float, peak: float) -> list[Cell]:
        return [Cell(name), Cell(f"{wall:.0f}"), Cell(f"{cpu:.0f}"), Cell(f"{peak:.1f}")]

    stages = [(stage["wall_seconds"], stage["cpu_seconds"], stage["peak_memory_gb"]) for stage in record.stages]
    rows = [row(stage["name"], *costs) for stage, costs in zip(record.stages, stages, strict=True)]
    wall, cpu, peak = zip(*stages, strict=True) if stages else ((), (), ())
    rows.append(row("all", sum(wall), sum(cpu), max(peak, default=0)))
    return Table("Costs", ["stage", "wall s", "CPU s", "peak GiB so far"], rows)


def unavailable(record: Record) -> list[str]:
    """Each reason why a figure is missing, once."""
    reasons = (f"{METRICS[f['metric']].title}: {f['why']}" for f in record.figures if f.get("why"))
    return list(dict.fromkeys(reasons))
