"""From a record to files that people look at."""

import base64
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError, RunError
from robsynth.files import write_atomically, write_text
from robsynth.records.record import FILE, Record, load_record
from robsynth.reports.curves import curves_png
from robsynth.reports.published import results_table
from robsynth.reports.tables import Table, all_tables, costs_table, unavailable


def render(record_path: Path, out: Path) -> dict[str, Path]:
    """Write `tables.md` and the self-contained `index.html` into `out`, with a copy of what they came from.

    Reads nothing but the record and the pictures that lie beside it. Below the record's own directory nothing is
    copied.
    """
    record = load_record(record_path)
    source = record_path if record_path.is_dir() else record_path.parent
    pictures = [{**picture, "content": _picture(source / picture["file"])} for picture in record.pictures]
    if not out.resolve().is_relative_to(source.resolve()):
        _copy(source / FILE if record_path.is_dir() else record_path, out / FILE)
        for picture in record.pictures:
            _copy(source / picture["file"], out / picture["file"])
    written = {"tables": out / "tables.md", "page": out / "index.html"}
    write_text(written["tables"], markdown(record))
    write_text(written["page"], _page(record, pictures))
    return written


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        write_atomically(target, lambda copy: shutil.copyfileobj(file, copy))


def _picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: a picture of the record that cannot be read ({error.strerror})") from None


def markdown(record: Record) -> str:
    """All tables of a record."""
    lines = [
        f"# {record.experiment or record.run}",
        "",
        f"Run `{record.run}`, seed {record.seed}, {record.machine['processor']}, {record.machine['threads']} threads, "
        f"{record.machine['precision']}; {record.data['name']} `{record.data['fingerprint']}`; "
        f"commit `{record.commit or 'none'}`.",
        "",
    ]
    for table in [*all_tables(record), costs_table(record)]:
        lines += [f"## {table.title}", "", *_with_notes(table)]
    if reasons := unavailable(record):
        lines += ["## Not available", "", *[f"- {reason}" for reason in reasons], ""]
    return "\n".join(lines)


def _with_notes(table: Table) -> list[str]:
    return [
        table.markdown(),
        "",
        *(["Protocols: " + "; ".join(table.notes) + ".", ""] if table.notes else []),
    ]


def _page(record: Record, pictures: list[dict[str, Any]]) -> str:
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup, escape

    def code(text: str) -> Markup:
        """`word` to <code>word</code>."""
        return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))

    environment = Environment(loader=PackageLoader("robsynth.reports", "."), autoescape=True, trim_blocks=True)
    environment.filters["code"] = code
    return environment.get_template("page.html.j2").render(
        record=record,
        tables=[*all_tables(record), costs_table(record)],
        pictures=[{**picture, "data": _data_url(picture["content"])} for picture in pictures],
        curves=_data_url(curves_png(record.history)) if record.history else None,
        missing=unavailable(record),
        config=json.dumps(record.config, indent=2),
        versions=json.dumps(record.versions, indent=2),
    )


def gallery(path: Path, title: str, picture: bytes, rows: Sequence[str], facts: Mapping[str, Any]) -> None:
    """A self-contained page with one picture, the names of its rows and what it was made with."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("robsynth.reports", "."), autoescape=True, trim_blocks=True)
    page = environment.get_template("gallery.html.j2")
    write_text(path, page.render(title=title, picture=_data_url(picture), rows=rows, facts=facts))


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


RESULTS = re.compile(r"(<!-- results of the paper: (\S+) -->\n).*?(<!-- end of results -->)", re.S)
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.S)


def fill_readme(readme: Path) -> str:
    """`readme` with each block between `<!-- figures: RECORD -->` and `<!-- end of figures -->` rendered anew.

    So is the block between `<!-- results of the paper: PUBLISHED -->` and `<!-- end of results -->`. RECORD and
    PUBLISHED are paths relative to the readme.
    """

    def block(match: re.Match[str]) -> str:
        record = load_record(readme.parent / match[2])
        tables = [line for table in all_tables(record) for line in [f"**{table.title}**", "", *_with_notes(table)]]
        reasons = [f"- {reason}" for reason in unavailable(record)]
        return match[1] + "\n" + "\n".join([*tables, *reasons, *([""] if reasons else [])]) + match[3]

    def results(match: re.Match[str]) -> str:
        table = results_table(readme.parent / match[2], readme.parent)
        return f"{match[1]}\n{table.markdown()}\n\n{match[3]}"

    try:
        text = readme.read_text()
    except OSError as error:
        raise RequestError(f"readme: {readme} cannot be read ({error.strerror})") from None
    filled, found = BLOCK.subn(block, RESULTS.sub(results, text))
    if not found:
        raise RunError(f"{readme}: has no block <!-- figures: RECORD --> to fill")
    return filled
