"""Plots of a sweep: each figure against each parameter, and against two at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from robsynth.records.sweep import SweepRecord
from robsynth.reports.plots import STYLE, Plot, as_png, bounds_of, empty_panels
from robsynth.reports.tables import metric_title, subject_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A parameter whose values span more than this has a logarithmic axis.
WIDE = 20


@dataclass(frozen=True)
class Column:
    """Figures of one subject in one metric under one protocol: the only ones that may stand together."""

    place: int
    subject: str
    metric: str
    protocol: str

    def of(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """A job's figure, if it is one of these."""
        figure = job["figures"][self.place]
        same = figure and (figure["subject"], figure["metric"], figure["protocol"]) == (
            self.subject, self.metric, self.protocol,
        )  # fmt: skip
        return figure if same else None


Columns = list[Column]


def columns_of(record: SweepRecord) -> Columns:
    """The columns that the jobs' figures fill, the objective's first."""
    return list(dict.fromkeys(
        Column(place, figure["subject"], figure["metric"], figure["protocol"])
        for place in range(len(record.columns)) for job in record.jobs if (figure := job["figures"][place])
    ))  # fmt: skip


def sweep_plots(record: SweepRecord) -> list[Plot]:
    """A plot a parameter with a panel a figure, and one of the objective over two parameters where there are two."""
    import matplotlib

    columns = [column for column in columns_of(record) if len([job for job in record.jobs if column.of(job)]) > 1]
    if not columns:
        return []
    with matplotlib.rc_context(STYLE):
        plots = [_against(record, key, columns) for key in record.params]
        return plots + list(_over_two(record, columns[0]))


def _against(record: SweepRecord, key: str, columns: Columns) -> Plot:
    canvas, axes = empty_panels(len(columns))
    for panel, column in zip(axes, columns, strict=True):
        jobs = [job for job in record.jobs if column.of(job)]
        scale = Scale([job["settings"][key] for job in jobs], key in record.logarithmic)
        for job in jobs:
            figure, at = column.of(job), scale.place(job["settings"][key])
            assert figure is not None
            colour = "C1" if job["job"] == record.best else "C0"
            panel.plot(at, figure["value"], "o", color=colour, markersize=5)
            panel.vlines(at, *bounds_of(figure), color=colour, alpha=0.4)
        scale.put(panel, "x")
        panel.set(title=f"{subject_title(column.subject)}\n{metric_title(column.metric)}", xlabel=key)
    caption = f"Against `{key}`, a point a job, the best one orange, with 95 % intervals or else standard deviations"
    return Plot(f"against_{key}", caption, as_png(canvas))


def _over_two(record: SweepRecord, column: Column) -> Iterator[Plot]:
    """The figure as a colour, at the points of a grid as a heat map."""
    if len(record.params) != 2:
        return
    first, second = record.params
    jobs = [(job["settings"][first], job["settings"][second], figure["value"]) for job in record.jobs
            if (figure := column.of(job))]  # fmt: skip
    across, down = (
        Scale([x for x, _, _ in jobs], first in record.logarithmic),
        Scale([y for _, y, _ in jobs], second in record.logarithmic),
    )
    canvas, (panel,) = empty_panels(1, height=3.2)
    if record.sampler == "grid":
        across.as_names = down.as_names = True
        found = {(x, y): value for x, y, value in jobs}
        rows = [[found.get((x, y), float("nan")) for x in across.values] for y in down.values]
        shades: Any = panel.imshow(rows, cmap="viridis", origin="lower", aspect="auto")
        for (row, y), (place, x) in product(enumerate(down.values), enumerate(across.values)):
            if (x, y) in found:
                panel.text(place, row, f"{found[x, y]:.4g}", ha="center", va="center", color="w", fontsize=8,
                           bbox={"facecolor": "0.2", "alpha": 0.4, "linewidth": 0, "pad": 1.5})  # fmt: skip
        panel.grid(False)
    else:
        shades = panel.scatter([across.place(x) for x, _, _ in jobs], [down.place(y) for _, y, _ in jobs],
                               c=[value for _, _, value in jobs], cmap="viridis")  # fmt: skip
    across.put(panel, "x")
    down.put(panel, "y")
    canvas.colorbar(shades, ax=panel)
    panel.set(title=f"{subject_title(column.subject)}: {metric_title(column.metric)}", xlabel=first, ylabel=second)
    yield Plot(
        "over_two", f"The objective over `{first}` and `{second}`. Protocol: `{column.protocol}`", as_png(canvas)
    )


class Scale:
    """Where a parameter's values stand on an axis: numbers at themselves, others in a row."""

    def __init__(self, values: list[Any], logarithmic: bool) -> None:
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        self.values = sorted(set(values)) if numbers else list(dict.fromkeys(values))
        self.as_names = not numbers
        wide = numbers and self.values[0] > 0 and self.values[-1] / self.values[0] >= WIDE
        self.logarithmic = numbers and (logarithmic or wide)
        self.zero = numbers and not self.logarithmic and self.values[0] == 0 and self._spans()

    def _spans(self) -> bool:
        """Whether all but a zero would have a logarithmic axis."""
        return len(self.values) > 2 and self.values[1] > 0 and self.values[-1] / self.values[1] >= WIDE

    def place(self, value: Any) -> float:
        return float(self.values.index(value)) if self.as_names or self.zero else float(value)

    def put(self, axes: "Axes", which: str) -> None:
        """Give an axis this scale."""
        if self.as_names or self.zero:
            names = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in self.values]
            axes.set(**{f"{which}ticks": range(len(names)), f"{which}ticklabels": names})
        elif self.logarithmic:
            from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

            axes.set(**{f"{which}scale": "log"})
            axis = axes.xaxis if which == "x" else axes.yaxis
            # Within a decade matplotlib would name every mark of a logarithmic axis, one over the other.
            decade = self.values[-1] >= 10 * self.values[0]
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if decade else MaxNLocator(4))
            axis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_minor_formatter(NullFormatter())
