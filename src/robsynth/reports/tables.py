"""Tables of figures; one column never holds two protocols."""

from dataclasses import dataclass
from typing import Any

from robsynth.metrics.figures import METRICS
from robsynth.records.record import Record


@dataclass(frozen=True)
class Column:
    metric: str
    protocol: str


@dataclass(frozen=True)
class Table:
    """Cells as texts, ready for any format; `notes` say what the columns' protocols are.

    All columns but the first are figures and end at their right, unless `left` is set.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    left: bool = False

    def markdown(self) -> str:
        rest = "---" if self.left else "---:"
        lines = [self.header, ["---", *[rest] * (len(self.header) - 1)], *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures_table(record: Record, title: str, metrics: list[str]) -> Table | None:
    """Subjects down, a column for each protocol under which one of `metrics` was measured; None without any."""
    found = [figure for figure in record.figures if figure["metric"] in metrics]
    columns: list[Column] = []
    for metric in metrics:
        for figure in found:
            column = Column(metric, figure["protocol"])
            if figure["metric"] == metric and column not in columns:
                columns.append(column)
    if not columns:
        return None
    subjects = list(dict.fromkeys(figure["subject"] for figure in found))
    cells = {(figure["subject"], Column(figure["metric"], figure["protocol"])): figure for figure in found}
    rows = [[_title(subject), *[_cell(cells.get((subject, column))) for column in columns]] for subject in subjects]
    header = [""] + [_heading(column, columns) for column in columns]
    notes = [f"{_heading(column, columns)}: `{column.protocol}`" for column in columns]
    return Table(title, header, rows, notes)


def _title(subject: str) -> str:
    return subject.replace("_", " ") if subject != "wgan_gp" else "WGAN-GP"


def _heading(column: Column, columns: list[Column]) -> str:
    metric = METRICS[column.metric]
    same = [other for other in columns if other.metric == column.metric]
    number = f" ({same.index(column) + 1})" if len(same) > 1 else ""
    arrow = {"higher": "↑", "lower": "↓"}[metric.better]
    unit = f", {metric.unit}" if metric.unit in ("dB", "x 1000") else ""
    return f"{metric.title}{number}{unit} {arrow}"


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["value"] is None:
        return "n/a"
    digits = METRICS[figure["metric"]].digits
    spread = f" ± {figure['spread']:.{digits}f}" if figure.get("spread") is not None else ""
    return f"{figure['value']:.{digits}f}{spread}"


def costs_table(record: Record) -> Table:
    """What each stage took."""
    rows = [
        [
            stage["name"],
            f"{stage['wall_seconds']:.0f}",
            f"{stage['cpu_seconds']:.0f}",
            f"{stage['peak_memory_gb']:.1f}",
        ]
        for stage in record.stages
    ]
    total = [sum(stage[key] for stage in record.stages) for key in ("wall_seconds", "cpu_seconds")]
    peak = max((stage["peak_memory_gb"] for stage in record.stages), default=0)
    rows.append(["all", f"{total[0]:.0f}", f"{total[1]:.0f}", f"{peak:.1f}"])
    return Table("Costs", ["stage", "wall s", "CPU s", "peak GiB so far"], rows, [])


def all_tables(record: Record) -> list[Table]:
    """The tables of a record, those that have rows."""
    tables = [
        figures_table(record, "Classifiers", ["clean_accuracy", "robust_accuracy"]),
        figures_table(record, "Sets of images", ["fid", "kid", "is"]),
        figures_table(record, "What the judge says", ["judge_score", "judge_share"]),
        figures_table(record, "Against the original", ["psnr", "ssim"]),
    ]
    return [table for table in tables if table is not None]


def unavailable(record: Record) -> list[str]:
    """Each reason why a figure is missing, once."""
    reasons = (f"{METRICS[f['metric']].title}: {f['why']}" for f in record.figures if f.get("why"))
    return list(dict.fromkeys(reasons))
