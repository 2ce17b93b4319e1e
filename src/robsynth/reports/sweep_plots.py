"""Plots of a sweep: each figure against each parameter, and against two at once."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

from robsynth.records.sweep import SweepRecord
from robsynth.reports.plots import STYLE, Plot, as_png, bounds_of, empty_panels
from robsynth.reports.sweep import columns_of, measured, shown
from robsynth.reports.tables import Key, key_title

# A parameter whose values span more than this has a logarithmic axis.
WIDE = 20


@matplotlib.rc_context(fname=STYLE)
def sweep_plots(record: SweepRecord) -> list[Plot]:
    """A plot a parameter with a panel a figure, and one of the objective over two parameters where there are two."""
    columns = [column for column in columns_of(record) if len(measured(record, column)) > 1]
    if not columns:
        return []
    plots = [_against(record, key, columns) for key in record.params]
    return [*plots, _over_two(record, columns[0])] if len(record.params) == 2 else plots


def _against(record: SweepRecord, key: str, columns: list[Key]) -> Plot:
    canvas, axes = empty_panels(len(columns))
    for panel, column in zip(axes, columns, strict=True):
        found = measured(record, column)
        scale = Scale([job["settings"][key] for job, _ in found], key in record.logarithmic)
        for job, figure in found:
            at, colour = scale.place(job["settings"][key]), "C1" if job["job"] == record.best else "C0"
            panel.plot(at, figure["value"], "o", color=colour, markersize=5)
            panel.vlines(at, *bounds_of(figure), color=colour, alpha=0.4)
        scale.put(panel, "x")
        panel.set(title=key_title(column).replace(": ", "\n", 1), xlabel=key)
    caption = f"Against `{key}`, a point a job, the best one orange, with 95 % intervals or else standard deviations"
    return Plot(f"against_{key}", caption, as_png(canvas))


def _over_two(record: SweepRecord, column: Key) -> Plot:
    """The figure as a colour, at the points of a grid as a heat map."""
    found = {
        tuple(job["settings"][key] for key in record.params): figure["value"]
        for job, figure in measured(record, column)
    }
    across, down = (
        Scale(list(values), key in record.logarithmic)
        for key, values in zip(record.params, zip(*found, strict=True), strict=True)
    )
    canvas, (panel,) = empty_panels(1, height=3.2)
    if record.sampler == "grid":
        across.as_names = down.as_names = True
        rows = [[found.get((x, y), float("nan")) for x in across.values] for y in down.values]
        shades: Any = panel.imshow(rows, cmap="viridis", origin="lower", aspect="auto")
        for (x, y), value in found.items():
            panel.text(across.place(x), down.place(y), f"{value:.4g}", ha="center", va="center", color="w",
                       fontsize=8, bbox={"facecolor": "0.2", "alpha": 0.4, "linewidth": 0, "pad": 1.5})  # fmt: skip
        panel.grid(False)
    else:
        at, height = zip(*((across.place(x), down.place(y)) for x, y in found), strict=True)
        shades = panel.scatter(at, height, c=list(found.values()), cmap="viridis")
    across.put(panel, "x")
    down.put(panel, "y")
    canvas.colorbar(shades, ax=panel)
    first, second = record.params
    panel.set(title=key_title(column), xlabel=first, ylabel=second)
    caption = f"The objective over `{first}` and `{second}`. Protocol: `{column[2]}`"
    return Plot("over_two", caption, as_png(canvas))


class Scale:
    """Where a parameter's values stand on an axis: numbers at themselves, others in a row."""

    def __init__(self, values: list[Any], logarithmic: bool) -> None:
        numbers = all(type(value) in (int, float) for value in values)
        self.values = sorted(set(values)) if numbers else list(dict.fromkeys(values))
        zero = numbers and self.values[0] == 0
        above = self.values[1:] if zero else self.values
        wide = numbers and len(above) > 1 and above[0] > 0 and above[-1] / above[0] >= WIDE
        self.logarithmic = numbers and (logarithmic or (wide and not zero))
        # With a zero, numbers that would have a logarithmic axis stand in a row.
        self.as_names = not numbers or (wide and not self.logarithmic)

    def place(self, value: Any) -> float:
        return float(self.values.index(value)) if self.as_names else float(value)

    def put(self, axes: Axes, which: str) -> None:
        """Give an axis this scale."""
        if self.as_names:
            axes.set(**{f"{which}ticks": range(len(self.values)), f"{which}ticklabels": map(shown, self.values)})
        elif self.logarithmic:
            axes.set(**{f"{which}scale": "log"})
            axis = axes.xaxis if which == "x" else axes.yaxis
            # Within a decade matplotlib would name every mark of a logarithmic axis, one over the other.
            decade = self.values[-1] >= 10 * self.values[0]
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if decade else MaxNLocator(4))
            axis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_minor_formatter(NullFormatter())
