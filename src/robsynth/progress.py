"""Progress for people, on stderr."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from robsynth.processes import is_first

console = Console(stderr=True, highlight=False, soft_wrap=True)
T = TypeVar("T")
WIDEST = 1_000


def say(line: str) -> None:
    """A line of words, of the process that speaks for all."""
    if is_first():
        console.print(line, markup=False)


def show(header: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> None:
    """A table; the first `words` columns begin at their left, figures end at their right."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place < words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    # Wider than a terminal rather than cut.
    Console(stderr=True, width=WIDEST).print(table)


def track(items: Sequence[T] | Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """`items` with a bar, of rank 0's: done of all, time spent, time left."""
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, disable=not is_first()) as progress:
        yield from progress.track(items, description=label, total=total)
