"""The blocks of a readme that are rendered from records."""

import re
from pathlib import Path

from robsynth.errors import RequestError, RunError
from robsynth.records.record import load_record
from robsynth.reports.formats import markdown
from robsynth.reports.published import results_table
from robsynth.reports.tables import Table, all_tables, unavailable

RESULTS = re.compile(r"(<!-- results of the paper: (\S+) -->\n).*?(<!-- end of results -->)", re.S)
TEXT = re.compile(r"(<!-- text: (\S+) -->\n).*?(<!-- end of text -->)", re.S)
BLOCK = re.compile(r"(<!-- figures: (\S+?)(?:: ([^>]+))? -->\n).*?(<!-- end of figures -->)", re.S)


def _chosen(tables: list[Table], titles: str | None, readme: Path) -> list[Table]:
    if titles is None:
        return tables
    by_title = {table.title: table for table in tables}
    names = [title.strip() for title in titles.split(";")]
    if absent := [name for name in names if name not in by_title]:
        raise RequestError(f"{readme}: no table {absent[0]!r}; allowed: {', '.join(by_title)}")
    return [by_title[name] for name in names]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise RequestError(f"readme: {path} cannot be read ({error.strerror})") from None


def fill_readme(readme: Path) -> str:
    """`readme` with each block between `<!-- figures: RECORD -->` and `<!-- end of figures -->` rendered anew.

    `<!-- figures: RECORD: TITLE; TITLE -->` has the tables of these titles alone. So is the block between
    `<!-- results of the paper: PUBLISHED -->` and `<!-- end of results -->`, and between `<!-- text: FILE -->` and
    `<!-- end of text -->` stands the file, itself rendered from a record. All paths are relative to the readme.
    """

    def block(match: re.Match[str]) -> str:
        record = load_record(readme.parent / match[2])
        tables = _chosen(all_tables(record), match[3], readme)
        lines = [line for table in tables for line in (f"**{table.title}**", "", markdown(table), "")]
        reasons = [] if match[3] else [f"- {reason}" for reason in unavailable(record)]
        return match[1] + "\n" + "\n".join([*lines, *reasons, *([""] if reasons else [])]) + match[4]

    def results(match: re.Match[str]) -> str:
        table = results_table(readme.parent / match[2], readme.parent)
        return f"{match[1]}\n{markdown(table)}\n\n{match[3]}"

    def file(match: re.Match[str]) -> str:
        return f"{match[1]}\n{_read(readme.parent / match[2])}\n{match[3]}"

    filled, found = BLOCK.subn(block, TEXT.sub(file, RESULTS.sub(results, _read(readme))))
    if not found:
        raise RunError(f"{readme}: has no block <!-- figures: RECORD --> to fill")
    return filled
