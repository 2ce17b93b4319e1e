"""Tables of figures; one column never holds two protocols."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robsynth.records.figures import METRICS, interval_of
from robsynth.records.record import COSTS, Record

Figure = dict[str, Any]
Key = tuple[str, str, str]
"""Subject, metric and protocol: only figures that have them in common may stand together."""
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


def cells(*parts: str | Cell) -> list[Cell]:
    """A row."""
    return [Cell(part) if isinstance(part, str) else part for part in parts]


def is_point(figure: Mapping[str, Any]) -> bool:
    """Whether a figure is a point of a curve, which stands in no ordinary table."""
    return figure.get("at") is not None


def by_key(figures: Iterable[Figure | None]) -> dict[Key, Figure]:
    """The figures that are there and no points of curves."""
    return {(one["subject"], one["metric"], one["protocol"]): one for one in figures if one and not is_point(one)}


def all_tables(record: Record) -> list[Table]:
    """The tables of a record's figures, those that have rows."""
    return [table for title, metrics in TABLES.items() if (table := figures_table(record, title, metrics))]


def figures_table(record: Record, title: str, metrics: tuple[str, ...]) -> Table | None:
    """Subjects down, a column for each protocol under which one of `metrics` was measured; None without any."""
    found = {key: figure for key, figure in by_key(record.figures).items() if key[1] in metrics}
    if not found:
        return None
    columns = sorted(dict.fromkeys(key[1:] for key in found), key=lambda column: metrics.index(column[0]))
    rows = [
        cells(subject_title(subject), *[figure_cell(found.get((subject, *column))) for column in columns])
        for subject in dict.fromkeys(subject for subject, _, _ in found)
    ]
    titles = numbered(_with_unit(metric) for metric, _ in columns)
    headings = [f"{title} {_arrow(metric)}" for title, (metric, _) in zip(titles, columns, strict=True)]
    under: dict[str, list[str]] = {}
    for heading, (_, protocol) in zip(headings, columns, strict=True):
        under.setdefault(protocol, []).append(heading)
    said = "; ".join(f"{', '.join(found)}: `{protocol}`" for protocol, found in under.items())
    return Table(title, ["", *headings], rows, [f"Protocols: {said}."])


def numbered(names: Iterable[str]) -> list[str]:
    """Names that come more than once, each with its number."""
    every = list(names)
    return [f"{name} ({every[:place].count(name) + 1})" if every.count(name) > 1 else name
            for place, name in enumerate(every)]  # fmt: skip


def subject_title(subject: str) -> str:
    return subject.replace("_", " ") if subject != "wgan_gp" else "WGAN-GP"


def metric_title(metric: str) -> str:
    """The metric's name, its unit where a figure means nothing without it, and which way is better."""
    return f"{_with_unit(metric)} {_arrow(metric)}"


def key_title(key: Key) -> str:
    return f"{subject_title(key[0])}: {metric_title(key[1])}"


def _with_unit(metric: str) -> str:
    known = METRICS[metric]
    return known.title + (f", {known.unit}" if known.unit in ("dB", "x 1000") else "")


def _arrow(metric: str) -> str:
    return "↑" if METRICS[metric].better == "higher" else "↓"


def figure_cell(figure: Mapping[str, Any] | None) -> Cell:
    """Value, spread and 95 % interval, as far as they are known, in the metric's digits.

    Its title is the protocol, and what the interval or the spread is.
    """
    if figure is None:
        return Cell("")
    if figure["value"] is None:
        return Cell("n/a", title=f"{figure['protocol']}; {figure.get('why', 'not measured')}")
    digits, seeds, interval = METRICS[figure["metric"]].digits, figure.get("seeds", 1), interval_of(figure)
    spread = figure.get("spread")
    ranges = [] if spread is None else [f"± {spread:.{digits}f}"]
    if interval is not None:
        ranges.append(f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]")
    kind = [name for name, part in (("± standard deviation", spread), ("95 % interval", interval)) if part is not None]
    # What records of before have as KID's is the deviation over overlapping subsets by the root of their number.
    error = None if figure["metric"] == "kid" else figure.get("error")
    title = (
        figure["protocol"],
        f"{figure['count']} images" if figure.get("count") is not None else "",
        f"mean, standard deviation and 95 % t-interval of {seeds} seeds" if seeds > 1 else "; ".join(kind),
        f"standard error {error:.3g}" if error is not None else "",
    )
    return Cell(f"{figure['value']:.{digits}f}", " ".join(ranges), "; ".join(filter(None, title)))


def costs_table(record: Record) -> Table:
    """What each stage took; of a GPU where some stage used one."""
    titles = zip(COSTS, ("wall s", "CPU s", "GPU s", "peak GiB so far", "peak GPU GiB so far"), strict=True)
    columns = {key: title for key, title in titles if "gpu" not in key or any(key in stage for stage in record.stages)}
    total: dict[str, Any] = {"name": "all"}
    for key in columns:
        total[key] = (sum if key.endswith("seconds") else max)([0, *(stage.get(key, 0) for stage in record.stages)])
    rows = [
        cells(stage["name"], *[f"{stage.get(key, 0):.{0 if key.endswith('seconds') else 1}f}" for key in columns])
        for stage in [*record.stages, total]
    ]
    return Table("Costs", ["stage", *columns.values()], rows)


def unavailable(record: Record) -> list[str]:
    """Each reason why a figure is missing, once."""
    reasons = (f"{METRICS[f['metric']].title}: {f['why']}" for f in record.figures if f.get("why"))
    return list(dict.fromkeys(reasons))
