from collections.abc import Iterable
from typing import Any

from robsynth.config.commands import RunsConfig
from robsynth.directories import writable_directory
from robsynth.errors import RequestError
from robsynth.lab.catalogue import LocalRun, find_runs
from robsynth.progress import say, show
from robsynth.records.figures import METRICS
from robsynth.records.query import matching, ordered, parse_wanted
from robsynth.reports import compare
from robsynth.reports.comparison import Comparison
from robsynth.reports.tables import Figure


def run(config: RunsConfig) -> dict[str, Any]:
    """Local runs by their records: which there are, which fit, and what differs among them."""
    if config.out is not None and not config.compare:
        raise RequestError("out: a list is not written anywhere; allowed with compare=true")
    wanted = {name: parse_wanted(name, "figures") for name in config.figures}
    asked = {key: getattr(config, key) for key in ("command", "experiment", "dataset", "status")}
    runs = [one for one in find_runs(config.under)
            if all(value in (None, getattr(one, key)) for key, value in asked.items())]  # fmt: skip
    runs = ordered(matching(runs, config.where) if config.where else runs, config.sort)
    found = [{name: figure for name, which in wanted.items() if (figure := which.of(one))} for one in runs]
    _show(runs, found, wanted)
    kept = ("subject", "metric", "value", "protocol")
    listed = [
        {**one.about(), "figures": {name: {key: figure[key] for key in kept} for name, figure in figures.items()}}
        for one, figures in zip(runs, found, strict=True)
    ]
    return {"runs": listed, **(_compared(runs, config.out) if config.compare else {})}


def _show(runs: list[LocalRun], found: list[dict[str, Figure]], names: Iterable[str]) -> None:
    """A row a run; where a column has figures under several protocols each says its own by a number."""
    protocols = {
        name: list(dict.fromkeys(figures[name]["protocol"] for figures in found if name in figures))
        for name in names if any(name in figures for figures in found)
    }  # fmt: skip
    rows = [
        [
            str(one.directory), one.command or "", one.experiment or "", one.dataset or "",
            (one.finished or "")[:16], _status(one),
            *[_cell(figures.get(name), several) for name, several in protocols.items()],
        ]
        for one, figures in zip(runs, found, strict=True)
    ]  # fmt: skip
    show(["directory", "command", "experiment", "dataset", "finished", "status", *protocols], rows, words=6)
    for name, several in protocols.items():
        if len(several) > 1:
            said = ", ".join(f"({number}) {protocol}" for number, protocol in enumerate(several, 1))
            say(f"{name}, not to be compared across protocols: {said}")


def _status(one: LocalRun) -> str:
    done = {"unfinished": f" after {one.stage}" if one.stage else "", "failed": f" in {one.stage}: {one.error}",
            "unreadable": f": {one.error}"}  # fmt: skip
    return one.status + done.get(one.status, "")


def _cell(figure: Figure | None, protocols: list[str]) -> str:
    if figure is None:
        return ""
    number = f" ({protocols.index(figure['protocol']) + 1})" if len(protocols) > 1 else ""
    return f"{figure['value']:.{METRICS[figure['metric']].digits}f}{number}"


def _compared(runs: list[LocalRun], out: str | None) -> dict[str, Any]:
    """What differs among the runs that have a record, and on request the page about it."""
    paths = [one.directory for one in runs if one.finished]
    if len(paths) < 2:
        raise RequestError(f"compare: found {len(paths)} of these runs with a record, allowed: two or more")
    compared, differ = Comparison(paths), {}
    for name, table in {"settings": compared.settings_table(), "differences": compared.figures_table()}.items():
        texts = [[str(cell).replace("`", "") for cell in row] for row in table.rows]
        say(f"\n{table.title}")
        show(table.header, texts, table.words)
        for note in table.notes:
            say(note)
        differ[name] = [dict(zip(table.header, row, strict=True)) for row in texts]
    written = compare(paths, writable_directory(out)) if out else {}
    return {**differ, **{name: str(path) for name, path in written.items() if name in ("page", "tables")}}
