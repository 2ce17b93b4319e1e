"""From a record to files that people and programs look at."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robsynth.errors import RequestError
from robsynth.files import write_bytes
from robsynth.records.figures import FIGURE_COLUMNS, figure_row, to_csv
from robsynth.records.record import Kept, Record
from robsynth.reports.formats import filled, latex
from robsynth.reports.published import beside_ours
from robsynth.reports.tables import all_tables, costs_table, unavailable

if TYPE_CHECKING:
    from robsynth.reports.plots import Plot

# What a report's files are to whoever asks for them.
KINDS = {".md": "tables", ".tex": "latex", ".csv": "figures", ".html": "page"}


def render(record_path: Path, out: Path) -> dict[str, Path]:
    """Write a record's tables, plots and self-contained page into `out`, with a copy of what they came from.

    Reads nothing but the record, the pictures that lie beside it and the published figures that this package ships.
    Returns the files: `tables` (Markdown), `latex`, `figures` (CSV, a row a figure) and `page`.
    """
    from robsynth.reports.plots import all_plots

    record = Record.load(record_path)
    sources = read_sources(record_path, record, [picture["file"] for picture in record.pictures])
    title, missing, plots = record.experiment or record.run, unavailable(record), all_plots(record)
    tables, published, costs = all_tables(record), beside_ours(record), costs_table(record)
    everything = [*tables, *published, costs]
    texts = {
        "tables.md": filled("record.md.j2", title=title, record=record, tables=everything,
                            lists=[("Not available", missing), ("Warnings", record.warnings)]),
        "tables.tex": latex(everything),
        "figures.csv": to_csv(FIGURE_COLUMNS, map(figure_row, record.figures)),
        "index.html": filled("record.html.j2", title=title, record=record, tables=tables, plots=plots,
                             published=published, sources=sources, missing=missing, costs=costs),
    }  # fmt: skip
    return write_report(out, texts, plots, record_path, sources)


def read_sources(path: Path, record: Kept, pictures: Iterable[str]) -> dict[str, bytes]:
    """What a report is made of, by its name beside the record: the record's own file, and pictures."""
    directory, file = (path, path / record.FILE) if path.is_dir() else (path.parent, path)
    return {record.FILE: file.read_bytes(), **{name: read_picture(directory / name) for name in pictures}}


def read_picture(path: Path) -> bytes:
    """The PNG that a record names; a RequestError says which was lost."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: a picture of the record that cannot be read ({error.strerror})") from None


def write_report(
    out: Path, texts: Mapping[str, str], plots: Iterable["Plot"] = (), record: Path | None = None,
    sources: Mapping[str, bytes] | None = None,
) -> dict[str, Path]:  # fmt: skip
    """Write texts and plots, and the sources unless `out` lies below their record; gives the texts' files by kind."""
    directory = record and (record if record.is_dir() else record.parent)
    files = {f"plots/{plot.name}.png": plot.png for plot in plots} | {name: texts[name].encode() for name in texts}
    if sources and directory and not out.resolve().is_relative_to(directory.resolve()):
        files |= sources
    for name, content in files.items():
        write_bytes(out / name, content)
    return {KINDS[Path(name).suffix]: out / name for name in texts}
