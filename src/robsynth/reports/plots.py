"""Plots of a record: its curves, its figures class by class, its trainings."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robsynth.records.figures import METRICS
from robsynth.records.record import Record
from robsynth.records.rows import interval_of
from robsynth.reports.tables import metric_title, subject_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Figures = list[dict[str, Any]]
STYLE: Any = {
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 8, "savefig.dpi": 110,
}  # fmt: skip
PANEL = (3.5, 2.6)
COLUMNS = 3
# More classes than this are bars without names.
NAMED = 30
ROBUST = "robust_accuracy"
HIDDEN = {"epoch", "wall_seconds", "cpu_seconds"}


@dataclass(frozen=True)
class Plot:
    """A PNG, the name of its file, and what it shows."""

    name: str
    caption: str
    png: bytes


def all_plots(record: Record) -> list[Plot]:
    """What a record has to plot, perhaps nothing."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        return [
            *_curves(record.figures),
            *_robustness(record.figures),
            *_classes(record.figures),
            *_trainings(record.history),
        ]


def _curves(figures: Figures) -> Iterator[Plot]:
    """A plot for each setting that was varied, with a panel for each metric under one protocol."""
    points = [figure for figure in figures if figure.get("at") and figure["value"] is not None]
    points = [figure for figure in points if figure["metric"] != ROBUST]
    for setting in dict.fromkeys(key for figure in points for key in figure["at"]):
        panels = _by_protocol([figure for figure in points if setting in figure["at"]])
        canvas, axes = empty_panels(len(panels))
        for panel, ((metric, _), found) in zip(axes, panels.items(), strict=True):
            _curve(panel, setting, found)
            panel.set(title=metric_title(metric), xlabel=setting)
        caption = f"Against {setting}, with 95 % intervals or else standard deviations. {protocols_of(panels)}"
        yield Plot(f"against_{setting}", caption, as_png(canvas))


def _curve(axes: "Axes", setting: str, figures: Figures) -> None:
    """A line for each subject, and for each choice of the other settings that vary."""
    lines: dict[str, Figures] = {}
    for figure in figures:
        others = [f"{key} {value:g}" for key, value in figure["at"].items() if key != setting]
        lines.setdefault(", ".join([subject_title(figure["subject"]), *others]), []).append(figure)
    for label, found in lines.items():
        _line(axes, label, setting, found)
    axes.legend()


def _line(axes: "Axes", label: str, setting: str, figures: Figures) -> None:
    """One line through figures, each at its setting."""
    figures = sorted(figures, key=lambda figure: figure["at"][setting])
    at = [figure["at"][setting] for figure in figures]
    (line,) = axes.plot(at, [figure["value"] for figure in figures], marker="o", markersize=4, label=label)
    bounds = [(place, *bounds_of(figure)) for place, figure in zip(at, figures, strict=True)]
    # An interval by bootstrap need not hold its figure, so it is a line of its own and no error of the point.
    axes.vlines(*zip(*bounds, strict=True), color=line.get_color(), alpha=0.5)


def _robustness(figures: Figures) -> Iterator[Plot]:
    """Accuracy against eps, a line for each classifier and attack; a panel for each norm and set of images."""
    panels: dict[str, dict[str, Figures]] = {}
    for figure in figures:
        if figure["metric"] == ROBUST and figure.get("at"):
            attack, _, images = figure["protocol"].partition("-")
            label = f"{subject_title(figure['subject'])}, {attack}"
            panels.setdefault(images, {}).setdefault(label, []).append(figure)
    if not panels:
        return
    canvas, axes = empty_panels(len(panels))
    for panel, (images, lines) in zip(axes, panels.items(), strict=True):
        for label, found in lines.items():
            _line(panel, label, "eps", found)
        panel.set(title=images, xlabel="eps", ylabel="accuracy", ylim=(0, 1))
        panel.legend()
    protocols = dict.fromkeys(figure["protocol"] for lines in panels.values() for found in lines.values()
                              for figure in found)  # fmt: skip
    caption = "Accuracy under attack against eps, clean at 0, with 95 % intervals. Protocols: "
    yield Plot("robustness", caption + ", ".join(f"`{protocol}`" for protocol in protocols), as_png(canvas))


def bounds_of(figure: Mapping[str, Any]) -> tuple[float, float]:
    if interval := interval_of(figure):
        return interval
    spread = figure.get("spread") or 0.0
    return figure["value"] - spread, figure["value"] + spread


def _classes(figures: Figures) -> Iterator[Plot]:
    """A plot for each metric that is known class by class, with a panel for each subject."""
    found = [figure for figure in figures if figure.get("per_class") and not figure.get("at")]
    panels = _by_protocol(found)
    for number, ((metric, protocol), of_subjects) in enumerate(panels.items()):
        names = list(dict.fromkeys(name for figure in of_subjects for name in figure["per_class"]))
        canvas, axes = empty_panels(len(of_subjects), height=2.0, share=True)
        for panel, figure in zip(axes, of_subjects, strict=True):
            panel.bar(range(len(names)), [figure["per_class"].get(name, 0) for name in names], color="C0")
            panel.axhline(figure["value"], color="0.3", linewidth=1, linestyle="--")
            panel.set(title=subject_title(figure["subject"]))
            panel.grid(False, axis="x")
            panel.set_xticks(range(len(names)) if len(names) <= NAMED else [])
            panel.set_xticklabels(names if len(names) <= NAMED else [], rotation=40, ha="right")
        caption = f"{METRICS[metric].title}, class by class; dashed: over all. Protocol: `{protocol}`"
        yield Plot(f"by_class_{number + 1}_{metric}", caption, as_png(canvas))


def _trainings(history: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[Plot]:
    """A panel for each training, one line a metric over epochs."""
    parts = {name: rows for name, rows in history.items() if rows}
    if not parts:
        return
    canvas, axes = empty_panels(len(parts))
    for panel, (name, rows) in zip(axes, parts.items(), strict=True):
        for key in sorted({key for row in rows for key in row} - HIDDEN):
            told = [row for row in rows if key in row]
            panel.plot([row["epoch"] for row in told], [row[key] for row in told], label=key, marker=".")
        panel.set(title=f"{name.replace('_', ' ')} ({rows[-1]['cpu_seconds']:.0f} CPU s)", xlabel="epoch")
        panel.legend()
    yield Plot("training", "Training, epoch by epoch", as_png(canvas))


def _by_protocol(figures: Figures) -> dict[tuple[str, str], Figures]:
    """Figures by metric and protocol: a panel never holds two."""
    found: dict[tuple[str, str], Figures] = {}
    for figure in sorted(figures, key=lambda figure: list(METRICS).index(figure["metric"])):
        found.setdefault((figure["metric"], figure["protocol"]), []).append(figure)
    return found


def protocols_of(panels: Mapping[tuple[str, str], Figures]) -> str:
    return "Protocols: " + "; ".join(f"{METRICS[metric].title}: `{protocol}`" for metric, protocol in panels)


def empty_panels(count: int, height: float = PANEL[1], share: bool = False) -> "tuple[Figure, list[Axes]]":
    """An empty figure with `count` panels in rows of three."""
    from matplotlib.figure import Figure

    columns, rows = min(count, COLUMNS), -(-count // COLUMNS)
    figure = Figure(figsize=(PANEL[0] * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel()
    for panel in axes[count:]:
        panel.set_axis_off()
    return figure, list(axes[:count])


def as_png(figure: "Figure") -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
