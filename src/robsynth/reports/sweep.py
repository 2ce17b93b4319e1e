"""What a sweep came to: its jobs side by side, the best setting, what matters; from its record alone."""

from pathlib import Path
from typing import Any

from robsynth.records.figures import METRICS
from robsynth.records.sweep import SweepRecord
from robsynth.reports.formats import filled
from robsynth.reports.render import read_sources, write_report
from robsynth.reports.tables import Cell, Figure, Key, Table, by_key, cells, figure_cell, key_title, numbered


def columns_of(record: SweepRecord) -> list[Key]:
    """The keys of the jobs' figures, the objective's first."""
    return list(dict.fromkeys(
        key for place in range(len(record.columns)) for job in record.jobs for key in by_key([job["figures"][place]])
    ))  # fmt: skip


def measured(record: SweepRecord, column: Key) -> list[tuple[dict[str, Any], Figure]]:
    """The jobs that have a figure of this key, each with it."""
    return [(job, figure) for job in record.jobs if (figure := by_key(job["figures"]).get(column))]


def shown(value: Any) -> str:
    """A setting as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def render_sweep(path: Path, out: Path) -> dict[str, Path]:
    """Write a sweep's tables, plots and self-contained page into `out`, with a copy of what they came from.

    Returns the files: `tables` (Markdown) and `page`.
    """
    from robsynth.reports.sweep_plots import sweep_plots

    record = SweepRecord.load(path)
    sources = read_sources(path, record, [job["picture"] for job in record.jobs if job.get("picture")])
    plots = sweep_plots(record)
    content = {"title": record.sweep, "record": record, "tables": sweep_tables(record), "plots": plots,
               "sources": sources, "metrics": METRICS, "cell": figure_cell, "shown": shown}  # fmt: skip
    texts = {"tables.md": filled("sweep.md.j2", **content), "index.html": filled("sweep.html.j2", **content)}
    return write_report(out, texts, plots, path, sources)


def sweep_tables(record: SweepRecord) -> list[Table]:
    """The best setting, the parameters' importance, and every job."""
    return [_best(record), _importance(record), _jobs(record)]


def _best(record: SweepRecord) -> Table:
    if record.best is None:
        return Table("Best setting", [], [], [f"n/a: {record.no_best}."])
    job = record.job(record.best)
    figures = by_key(job["figures"])
    rows = [cells(f"`{key}`", shown(value)) for key, value in job["settings"].items()]
    rows += [cells(key_title(key), figure_cell(figures[key])) for key in columns_of(record) if key in figures]
    note = (
        f"By `{record.objective}`, of {len(record.measured())} finished jobs. Chosen among all of them, so its figure "
        "is a little too good: a run with another seed says how much."
    )
    return Table(f"Best setting: job {record.best}", ["", "value"], rows, [note])


def _importance(record: SweepRecord) -> Table:
    title = "Parameter importance"
    if record.importance is None:
        return Table(title, [], [], [f"n/a: {record.no_importance}."])
    ranked = sorted(record.importance.items(), key=lambda pair: -pair[1])
    rows = [cells(f"`{key}`", f"{share:.2f}") for key, share in ranked]
    note = "Share of the objective's variance over these jobs that the parameter explains (fANOVA)."
    return Table(title, ["parameter", "importance"], rows, [note])


def _jobs(record: SweepRecord) -> Table:
    settings = list(dict.fromkeys(key for job in record.jobs for key in job["settings"]))
    columns = columns_of(record)
    rows = [
        cells(
            Cell(job["job"], best=job["job"] == record.best),
            *[shown(job["settings"].get(key, "")) for key in settings],
            ": ".join(filter(None, (job["status"] if job["status"] != "pruned" else "", job.get("error")))),
            *[figure_cell(by_key(job["figures"]).get(key)) for key in columns],
        )
        for job in record.jobs
    ]
    headings = numbered(map(key_title, columns))
    said = "; ".join(f"{heading}: `{protocol}`" for heading, (_, _, protocol) in zip(headings, columns, strict=True))
    notes = [f"Protocols: {said}."] if said else []
    return Table("Jobs", ["job", *settings, "status", *headings], rows, notes, words=len(settings) + 2)
