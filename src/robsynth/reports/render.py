"""From a record to files that people and programs look at."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import write_atomically, write_text
from robsynth.records.record import FILE, Record, load_record
from robsynth.records.rows import FIGURE_COLUMNS, figure_row, to_csv
from robsynth.reports.formats import latex, markdown
from robsynth.reports.page import page
from robsynth.reports.plots import Plot, all_plots
from robsynth.reports.published import beside_ours
from robsynth.reports.tables import Table, all_tables, costs_table, unavailable


def render(record_path: Path, out: Path) -> dict[str, Path]:
    """Write a record's tables, plots and self-contained page into `out`, with a copy of what they came from.

    Reads nothing but the record, the pictures that lie beside it and the published figures that this package ships.
    Below the record's own directory nothing is copied.

    Returns
    -------
    dict
        The files: `tables` (Markdown), `latex`, `figures` (CSV, a row a figure) and `page`; `plots/*.png` lie
        beside them.
    """
    record = load_record(record_path)
    source = record_path if record_path.is_dir() else record_path.parent
    pictures = [{**picture, "content": read_picture(source / picture["file"])} for picture in record.pictures]
    if not out.resolve().is_relative_to(source.resolve()):
        copy_file(source / FILE if record_path.is_dir() else record_path, out / FILE)
        for picture in record.pictures:
            copy_file(source / picture["file"], out / picture["file"])
    plots, published = all_plots(record), beside_ours(record)
    for plot in plots:
        write_bytes(out / "plots" / f"{plot.name}.png", plot.png)
    texts = {
        "tables.md": _markdown(record, published),
        "tables.tex": latex([*all_tables(record), *published, costs_table(record)]),
        "figures.csv": to_csv(FIGURE_COLUMNS, map(figure_row, record.figures)),
        "index.html": _page(record, pictures, plots, published),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return dict(zip(("tables", "latex", "figures", "page"), (out / name for name in texts), strict=True))


def copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        write_atomically(target, lambda copy: shutil.copyfileobj(file, copy))


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


def read_picture(path: Path) -> bytes:
    """The PNG that a record names; a RequestError says which was lost."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: a picture of the record that cannot be read ({error.strerror})") from None


def _markdown(record: Record, published: list[Table]) -> str:
    lines = [
        f"# {record.experiment or record.run}",
        "",
        f"Run `{record.run}`, seed {record.seed}, {record.machine['processor']}, {record.machine['threads']} threads, "
        f"{record.machine['precision']}; {record.data['name']} `{record.data['fingerprint']}`; "
        f"commit `{record.commit or 'none'}`.",
        "",
    ]
    for table in [*all_tables(record), *published, costs_table(record)]:
        lines += [f"## {table.title}", "", markdown(table), ""]
    for title, remarks in (("Not available", unavailable(record)), ("Warnings", record.warnings)):
        if remarks:
            lines += [f"## {title}", "", *[f"- {remark}" for remark in remarks], ""]
    return "\n".join(lines)


def _page(record: Record, pictures: Sequence[Mapping[str, Any]], plots: list[Plot], published: list[Table]) -> str:
    return page(
        "page.html.j2",
        title=record.experiment or record.run,
        record=record,
        pictures=pictures,
        tables=all_tables(record),
        plots=plots,
        published=published,
        missing=unavailable(record),
        costs=costs_table(record),
        config=json.dumps(record.config, indent=2),
        versions=json.dumps(record.versions, indent=2),
    )
