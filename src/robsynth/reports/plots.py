"""Plots of a record: its curves, its figures class by class, its trainings."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from robsynth.records.figures import METRICS, interval_of
from robsynth.records.record import Record
from robsynth.reports.tables import Figure, metric_title, subject_title

Figures = list[Figure]
STYLE = Path(__file__).with_name("plots.mplstyle")
# More classes than this are bars without names.
NAMED = 30
ROBUST = "robust_accuracy"
HIDDEN = {"epoch", "wall_seconds", "cpu_seconds", "gpu_seconds"}


class Plot(NamedTuple):
    """A PNG, the name of its file, and what it shows."""

    name: str
    caption: str
    png: bytes


@matplotlib.rc_context(fname=STYLE)
def all_plots(record: Record) -> list[Plot]:
    """What a record has to plot, perhaps nothing."""
    points = [figure for figure in record.figures if figure.get("at") and figure["value"] is not None]
    return [
        *_curves([figure for figure in points if figure["metric"] != ROBUST]),
        *_robustness([figure for figure in points if figure["metric"] == ROBUST]),
        *_classes([figure for figure in record.figures if figure.get("per_class") and not figure.get("at")]),
        *_trainings(record.history),
    ]


def _curves(points: Figures) -> Iterator[Plot]:
    """A plot for each setting that was varied: a panel for each metric under one protocol, in it a line for each
    subject and each choice of the other settings that vary."""
    for setting in dict.fromkeys(key for figure in points for key in figure["at"]):
        panels = _by_protocol([figure for figure in points if setting in figure["at"]])
        protocols = "; ".join(f"{METRICS[metric].title}: `{protocol}`" for metric, protocol in panels)
        caption = f"Against {setting}, with 95 % intervals or else standard deviations. Protocols: {protocols}"
        titled = [(metric_title(metric), found) for (metric, _), found in panels.items()]
        yield Plot(f"against_{setting}", caption, _lines(setting, titled))


def _robustness(points: Figures) -> Iterator[Plot]:
    """Accuracy against eps, a line for each classifier and attack; a panel for each norm and set of images."""
    if panels := _together(points, lambda figure: figure["protocol"].partition("-")[2]):
        names = ", ".join(dict.fromkeys(f"`{figure['protocol']}`" for found in panels.values() for figure in found))
        caption = f"Accuracy under attack against eps, clean at 0, with 95 % intervals. Protocols: {names}"
        yield Plot("robustness", caption, _lines("eps", [*panels.items()], ylabel="accuracy", ylim=(0, 1)))


def _lines(setting: str, panels: list[tuple[str, Figures]], **axes: Any) -> bytes:
    """Titled panels, a line for each subject, attack and choice of the other settings, in the order of `setting`."""

    def label(figure: Figure) -> str:
        attack = [figure["protocol"].partition("-")[0]] if figure["metric"] == ROBUST else []
        others = [f"{key} {value:g}" for key, value in figure["at"].items() if key != setting]
        return ", ".join([subject_title(figure["subject"]), *attack, *others])

    canvas, empty = empty_panels(len(panels))
    for panel, (title, figures) in zip(empty, panels, strict=True):
        for name, found in _together(sorted(figures, key=lambda figure: figure["at"][setting]), label).items():
            at = [figure["at"][setting] for figure in found]
            (line,) = panel.plot(at, [figure["value"] for figure in found], marker="o", markersize=4, label=name)
            # An interval by bootstrap need not hold its figure, so it is a line of its own and no error of the point.
            panel.vlines(at, *zip(*map(bounds_of, found), strict=True), color=line.get_color(), alpha=0.5)
        panel.set(title=title, xlabel=setting, **axes)
        panel.legend()
    return as_png(canvas)


def bounds_of(figure: Mapping[str, Any]) -> tuple[float, float]:
    """Its interval, or else as far as its spread reaches."""
    spread = figure.get("spread") or 0.0
    return interval_of(figure) or (figure["value"] - spread, figure["value"] + spread)


def _classes(figures: Figures) -> Iterator[Plot]:
    """A plot for each metric that is known class by class, with a panel for each subject."""
    for number, ((metric, protocol), found) in enumerate(_by_protocol(figures).items(), 1):
        names = list(dict.fromkeys(name for figure in found for name in figure["per_class"]))
        canvas, axes = empty_panels(len(found), height=2.0, share=True)
        for panel, figure in zip(axes, found, strict=True):
            panel.bar(range(len(names)), [figure["per_class"].get(name, 0) for name in names], color="C0")
            panel.axhline(figure["value"], color="0.3", linewidth=1, linestyle="--")
            panel.set(title=subject_title(figure["subject"]))
            panel.grid(False, axis="x")
            marked = names if len(names) <= NAMED else []
            panel.set_xticks(range(len(marked)), marked, rotation=40, ha="right")
        caption = f"{METRICS[metric].title}, class by class; dashed: over all. Protocol: `{protocol}`"
        yield Plot(f"by_class_{number}_{metric}", caption, as_png(canvas))


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
        # Of the device that computed: what trainings of equal cost have in common.
        device = "gpu" if "gpu_seconds" in rows[-1] else "cpu"
        spent = f"{rows[-1][f'{device}_seconds']:.0f} {device.upper()} s"
        panel.set(title=f"{name.replace('_', ' ')} ({spent})", xlabel="epoch")
        panel.legend()
    yield Plot("training", "Training, epoch by epoch", as_png(canvas))


def _by_protocol(figures: Figures) -> dict[tuple[str, str], Figures]:
    """Figures by metric and protocol: a panel never holds two."""
    in_order = sorted(figures, key=lambda figure: list(METRICS).index(figure["metric"]))
    return _together(in_order, lambda figure: (figure["metric"], figure["protocol"]))


def _together(figures: Figures, key: Callable[[Figure], Any]) -> dict[Any, Figures]:
    found: dict[Any, Figures] = defaultdict(list)
    for figure in figures:
        found[key(figure)].append(figure)
    return found


def empty_panels(count: int, height: float = 2.6, share: bool = False) -> tuple[Canvas, list[Axes]]:
    """An empty figure with `count` panels in rows of three, inches high."""
    columns, rows = min(count, 3), -(-count // 3)
    canvas = Canvas(figsize=(3.5 * columns, height * rows), layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel()
    for panel in axes[count:]:
        panel.set_axis_off()
    return canvas, list(axes[:count])


def as_png(canvas: Canvas) -> bytes:
    content = io.BytesIO()
    canvas.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
