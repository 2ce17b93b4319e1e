from typing import Any

from robsynth.config import RunsConfig
from robsynth.errors import RequestError
from robsynth.files import writable_directory
from robsynth.lab.catalogue import LocalRun, find_runs
from robsynth.progress import say, show
from robsynth.records.figures import METRICS
from robsynth.records.query import Wanted, matching, ordered, parse_wanted
from robsynth.reports import compare
from robsynth.reports.comparison import figures_table, group_by_seed, group_figures, open_records, settings_table
from robsynth.reports.tables import Table


def run(config: RunsConfig) -> dict[str, Any]:
    """Local runs by their records: which there are, which fit, and what differs among them."""
    if config.out is not None and not config.compare:
        raise RequestError("out: a list is not written anywhere; allowed with compare=true")
    wanted = {name: parse_wanted(name, "figures") for name in config.figures}
    found = ordered(_chosen(config), config.sort)
    _show(found, wanted)
    listed = [{**one.about(), "figures": _figures(one, wanted)} for one in found]
    return {"runs": listed, **(_compared(found, config.out) if config.compare else {})}


def _chosen(config: RunsConfig) -> list[LocalRun]:
    asked = {key: getattr(config, key) for key in ("command", "experiment", "dataset", "status")}
    runs = [
        one for one in find_runs(config.under)
        if all(value is None or getattr(one, key) == value for key, value in asked.items())
    ]  # fmt: skip
    return matching(runs, config.where) if config.where else runs


def _figures(one: LocalRun, wanted: dict[str, Wanted]) -> dict[str, dict[str, Any]]:
    measured = {name: which.of(one) for name, which in wanted.items()}
    return {
        name: {key: figure[key] for key in ("subject", "metric", "value", "protocol")}
        for name, figure in measured.items()
        if figure
    }


def _show(runs: list[LocalRun], wanted: dict[str, Wanted]) -> None:
    """A row a run; where a column has figures under several protocols each says its own by a number."""
    found = {name: [which.of(one) for one in runs] for name, which in wanted.items()}
    columns = {name: figures for name, figures in found.items() if any(figures)}
    protocols = {
        name: list(dict.fromkeys(figure["protocol"] for figure in figures if figure))
        for name, figures in columns.items()
    }
    rows = [
        [
            str(one.directory), one.command or "", one.experiment or "", one.dataset or "",
            (one.finished or "")[:16], _status(one),
            *[_cell(figures[place], protocols[name]) for name, figures in columns.items()],
        ]
        for place, one in enumerate(runs)
    ]  # fmt: skip
    show(["directory", "command", "experiment", "dataset", "finished", "status", *columns], rows, words=6)
    for name, several in protocols.items():
        if len(several) > 1:
            said = ", ".join(f"({number}) {protocol}" for number, protocol in enumerate(several, 1))
            say(f"{name}, not to be compared across protocols: {said}")


def _status(one: LocalRun) -> str:
    done = {"unfinished": f" after {one.stage}" if one.stage else "", "failed": f" in {one.stage}: {one.error}",
            "unreadable": f": {one.error}"}  # fmt: skip
    return one.status + done.get(one.status, "")


def _cell(figure: dict[str, Any] | None, protocols: list[str]) -> str:
    if figure is None:
        return ""
    number = f" ({protocols.index(figure['protocol']) + 1})" if len(protocols) > 1 else ""
    return f"{figure['value']:.{METRICS[figure['metric']].digits}f}{number}"


def _compared(runs: list[LocalRun], out: str | None) -> dict[str, Any]:
    """What differs among the runs that have a record, and on request the page about it."""
    paths = [one.directory for one in runs if one.finished]
    if len(paths) < 2:
        raise RequestError(f"compare: found {len(paths)} of these runs with a record, allowed: two or more")
    groups = group_by_seed(open_records(paths))
    tables = {
        "settings": settings_table(groups),
        "differences": figures_table(groups, [group_figures(group) for group in groups]),
    }
    for table in tables.values():
        say(f"\n{table.title}")
        show(table.header, _texts(table), table.words)
        for note in table.notes:
            say(note)
    written = compare(paths, writable_directory(out)) if out else {}
    differ = {name: _as_json(table) for name, table in tables.items()}
    return {**differ, **{name: str(path) for name, path in written.items() if name in ("page", "tables")}}


def _as_json(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in _texts(table)]


def _texts(table: Table) -> list[list[str]]:
    return [[str(cell).replace("`", "") for cell in row] for row in table.rows]
