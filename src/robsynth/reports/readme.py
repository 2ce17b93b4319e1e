"""The blocks of a readme that are rendered from records."""

import re
from pathlib import Path

from robsynth.errors import RequestError, RunError
from robsynth.records.record import load_record
from robsynth.reports.formats import markdown
from robsynth.reports.published import results_table
from robsynth.reports.tables import all_tables, unavailable

RESULTS = re.compile(r"(<!-- results of the paper: (\S+) -->\n).*?(<!-- end of results -->)", re.S)
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.S)


def fill_readme(readme: Path) -> str:
    """`readme` with each block between `<!-- figures: RECORD -->` and `<!-- end of figures -->` rendered anew.

    So is the block between `<!-- results of the paper: PUBLISHED -->` and `<!-- end of results -->`. RECORD and
    PUBLISHED are paths relative to the readme.
    """

    def block(match: re.Match[str]) -> str:
        record = load_record(readme.parent / match[2])
        tables = [line for table in all_tables(record) for line in (f"**{table.title}**", "", markdown(table), "")]
        reasons = [f"- {reason}" for reason in unavailable(record)]
        return match[1] + "\n" + "\n".join([*tables, *reasons, *([""] if reasons else [])]) + match[3]

    def results(match: re.Match[str]) -> str:
        table = results_table(readme.parent / match[2], readme.parent)
        return f"{match[1]}\n{markdown(table)}\n\n{match[3]}"

    try:
        text = readme.read_text()
    except OSError as error:
        raise RequestError(f"readme: {readme} cannot be read ({error.strerror})") from None
    filled, found = BLOCK.subn(block, RESULTS.sub(results, text))
    if not found:
        raise RunError(f"{readme}: has no block <!-- figures: RECORD --> to fill")
    return filled
