"""The blocks of a readme that are rendered from records."""

import re
from pathlib import Path

from robsynth.errors import RequestError, RunError
from robsynth.records.record import Record
from robsynth.reports.formats import markdown
from robsynth.reports.published import results_table
from robsynth.reports.tables import all_tables, unavailable

BLOCK = re.compile(
    r"(<!-- (results of the paper|text|figures): (\S+?)(?:: ([^>]+))? -->\n).*?(<!-- end of \w+ -->)", re.S
)


def fill_readme(readme: Path) -> str:
    """`readme` with each block between `<!-- figures: RECORD -->` and `<!-- end of figures -->` rendered anew.

    `<!-- figures: RECORD: TITLE; TITLE -->` has the tables of these titles alone. So is the block between
    `<!-- results of the paper: PUBLISHED -->` and `<!-- end of results -->`, and between `<!-- text: FILE -->` and
    `<!-- end of text -->` stands the file, itself rendered from a record. All paths are relative to the readme.
    """
    text = _read(readme)
    if "figures" not in [kind for _, kind, *_ in BLOCK.findall(text)]:
        raise RunError(f"{readme}: has no block <!-- figures: RECORD --> to fill")

    def block(found: re.Match[str]) -> str:
        begin, kind, name, titles, end = found.groups()
        path = readme.parent / name
        if kind == "figures":
            content = _figures(path, titles, readme)
        else:
            content = _read(path) if kind == "text" else markdown(results_table(path, readme.parent)) + "\n"
        return f"{begin}\n{content}\n{end}"

    return BLOCK.sub(block, text)


def _figures(path: Path, titles: str | None, readme: Path) -> str:
    """All tables of a record and what it lacks, or the tables of these titles."""
    record = Record.load(path)
    tables = {table.title: table for table in all_tables(record)}
    names = list(tables) if titles is None else [title.strip() for title in titles.split(";")]
    if absent := [name for name in names if name not in tables]:
        raise RequestError(f"{readme}: no table {absent[0]!r}; allowed: {', '.join(tables)}")
    parts = [f"**{name}**\n\n{markdown(tables[name])}" for name in names]
    if titles is None and (reasons := unavailable(record)):
        parts.append("\n".join(f"- {reason}" for reason in reasons))
    return "\n\n".join(parts)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise RequestError(f"readme: {path} cannot be read ({error.strerror})") from None
