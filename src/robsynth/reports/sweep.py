"""What a sweep came to: its jobs side by side, the best setting, what matters; from its record alone."""

import json
from pathlib import Path
from typing import Any

from robsynth.files import write_text
from robsynth.records.figures import METRICS
from robsynth.records.sweep import FILE, SweepRecord, load_sweep
from robsynth.reports.formats import markdown
from robsynth.reports.page import page
from robsynth.reports.render import copy_file, read_picture, write_bytes
from robsynth.reports.sweep_plots import Columns, columns_of, sweep_plots
from robsynth.reports.tables import Cell, Table, figure_cell, metric_title, subject_title


def render_sweep(path: Path, out: Path) -> dict[str, Path]:
    """Write a sweep's tables, plots and self-contained page into `out`, with a copy of what they came from.

    Returns
    -------
    dict
        The files: `tables` (Markdown) and `page`; `plots/*.png` lie beside them.
    """
    record = load_sweep(path)
    source = path if path.is_dir() else path.parent
    shown = [job for job in record.jobs if job.get("picture")]
    pictures = [{**job, "png": read_picture(source / job["picture"]), "says": _says(job)} for job in shown]
    if not out.resolve().is_relative_to(source.resolve()):
        for file in (FILE, *[job["picture"] for job in shown]):
            copy_file(source / file, out / file)
    plots, tables = sweep_plots(record), sweep_tables(record)
    for plot in plots:
        write_bytes(out / "plots" / f"{plot.name}.png", plot.png)
    texts = {
        "tables.md": _markdown(record, tables),
        "index.html": page("sweep.html.j2", title=record.sweep, record=record, tables=tables, plots=plots,
                           pictures=pictures, about=json.dumps(_about(record), indent=2)),
    }  # fmt: skip
    for name, text in texts.items():
        write_text(out / name, text)
    return {"tables": out / "tables.md", "page": out / "index.html"}


def sweep_tables(record: SweepRecord) -> list[Table]:
    """The best setting, the parameters' importance, and every job."""
    columns = columns_of(record)
    return [_best(record, columns), _importance(record), _jobs(record, columns)]


def _best(record: SweepRecord, columns: Columns) -> Table:
    if record.best is None:
        return Table("Best setting", [], [], [f"n/a: {record.no_best}."])
    job = record.job(record.best)
    rows = [[Cell(f"`{key}`"), Cell(shown(value))] for key, value in job["settings"].items()]
    found = [(column, figure) for column in columns if (figure := column.of(job)) is not None]
    rows += [[Cell(_title(column.subject, column.metric)), figure_cell(figure)] for column, figure in found]
    count = len(record.measured())
    return Table(f"Best setting: job {record.best}", ["", "value"], rows,
                 [f"By `{record.objective}`, of {count} finished jobs. Chosen among all of them, so its figure is a "
                  "little too good: a run with another seed says how much."])  # fmt: skip


def _importance(record: SweepRecord) -> Table:
    title = "Parameter importance"
    if record.importance is None:
        return Table(title, [], [], [f"n/a: {record.no_importance}."])
    ranked = sorted(record.importance.items(), key=lambda pair: -pair[1])
    rows = [[Cell(f"`{key}`"), Cell(f"{share:.2f}")] for key, share in ranked]
    note = "Share of the objective's variance over these jobs that the parameter explains (fANOVA)."
    return Table(title, ["parameter", "importance"], rows, [note])


def _jobs(record: SweepRecord, columns: Columns) -> Table:
    keys = list(dict.fromkeys(key for job in record.jobs for key in job["settings"]))
    rows = [
        [
            Cell(job["job"], best=job["job"] == record.best),
            *[Cell(shown(job["settings"][key]) if key in job["settings"] else "") for key in keys],
            Cell(_status(job)),
            *[figure_cell(column.of(job)) for column in columns],
        ]
        for job in record.jobs
    ]  # fmt: skip
    headings = [_title(column.subject, column.metric) for column in columns]
    numbered = [
        f"{heading} ({headings[: place + 1].count(heading)})" if headings.count(heading) > 1 else heading
        for place, heading in enumerate(headings)
    ]
    notes = [f"{heading}: `{column.protocol}`" for heading, column in zip(numbered, columns, strict=True)]
    header = ["job", *[f"{key}" for key in keys], "status", *numbered]
    return Table("Jobs", header, rows, [f"Protocols: {'; '.join(notes)}."] if notes else [], words=len(keys) + 2)


def _status(job: dict[str, Any]) -> str:
    said = job.get("error") or ""
    return said if job["status"] == "pruned" else f"{job['status']}: {said}" if said else str(job["status"])


def _title(subject: str, metric: str) -> str:
    return f"{subject_title(subject)}: {metric_title(metric)}"


def shown(value: Any) -> str:
    """A setting as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _says(job: dict[str, Any]) -> str:
    settings = ", ".join(f"{key} {shown(value)}" for key, value in job["settings"].items())
    figure = job["figures"][0]
    measured = f"; {METRICS[figure['metric']].title} {figure_cell(figure).text}" if figure else ""
    return f"{job['job']}: {settings}{measured}"


def _about(record: SweepRecord) -> dict[str, Any]:
    return {key: getattr(record, key) for key in (
        "command", "sampler", "params", "words", "prepare", "objective", "pruning", "data", "machine", "versions",
    )}  # fmt: skip


def _markdown(record: SweepRecord, tables: list[Table]) -> str:
    parts = [f"# Sweep {record.sweep}", f"{record.sampler} over `robsynth {record.command}`, {len(record.jobs)} jobs, "
             f"finished {record.finished}; commit `{record.commit or 'none'}`."]  # fmt: skip
    for table in tables:
        body = markdown(table) if table.header else "\n\n".join(table.notes)
        parts.append(f"## {table.title}\n\n{body}")
    return "\n\n".join(parts) + "\n"
