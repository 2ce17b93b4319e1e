"""Several runs side by side; those that differ in nothing but the seed count as one."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from robsynth.directories import decisive
from robsynth.errors import RequestError
from robsynth.records.figures import FIGURE_COLUMNS, METRICS, best, figure_row, seeds_interval, to_csv
from robsynth.records.record import Record
from robsynth.reports.formats import filled
from robsynth.reports.render import read_picture, write_report
from robsynth.reports.tables import Figure, Table, by_key, cells, figure_cell, metric_title, numbered, subject_title


def compare(paths: list[Path], out: Path) -> dict[str, Path]:
    """Write `compare.html` (self-contained), `compare.md` and `compare.csv` about two or more records into `out`."""
    found = Comparison(paths)
    content = {"title": "Comparison", "tables": [found.runs_table(), found.settings_table(), found.figures_table()]}
    columns = zip(found.names, found.figures, strict=True)
    rows = [{**figure_row(figure), "run": name} for name, figures in columns for figure in figures.values()]
    return write_report(out, {
        "compare.html": filled("compare.html.j2", pictures=found.pictures(), known=found.protocols, **content),
        "compare.md": filled("document.md.j2", **content),
        "compare.csv": to_csv(("run", *FIGURE_COLUMNS), rows),
    })  # fmt: skip


class Comparison:
    """The records of files and directories side by side, in columns of runs that differ in nothing but the seed.

    `figures` are each column's, by subject, metric and protocol, as only such may stand in a row. `protocols` have the
    details; those that differ in their details alone have numbers.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._directories = _directories(paths)
        self.columns: list[dict[str, Record]] = []
        for name, record in zip(self._directories, map(Record.load, paths), strict=True):
            for column in self.columns:
                others = list(column.values())
                # With a seed that is there already it is the same run once more.
                if settings(others[0]) == settings(record) and record.seed not in [other.seed for other in others]:
                    column[name] = record
                    break
            else:
                self.columns.append({name: record})
        self.names = [first + (f" and {len(others)} other seed{'s' if len(others) > 1 else ''}" if others else "")
                      for first, *others in self.columns]  # fmt: skip
        measured = [_measured(column.values()) for column in self.columns]
        under: dict[str, list[Any]] = defaultdict(list)
        for figure in chain(*measured):
            if figure["details"] not in under[figure["protocol"]]:
                under[figure["protocol"]].append(figure["details"])
        for figure in chain(*measured):
            if len(known := under[figure["protocol"]]) > 1:
                figure["protocol"] += f" ({known.index(figure['details']) + 1})"
        self.figures = [by_key(figures) for figures in measured]
        self.protocols = {figure["protocol"]: figure["details"] for figure in chain(*measured)}

    def runs_table(self) -> Table:
        """Which record stands in which column."""
        rows = [
            cells(name, column, f"`{run.run}`", str(run.seed), run.finished[:16], f"`{run.commit or 'none'}`")
            for column, runs in zip(self.names, self.columns, strict=True) for name, run in runs.items()
        ]  # fmt: skip
        return Table("Runs", ["record", "column", "run", "seed", "finished", "commit"], rows, words=6)

    def settings_table(self) -> Table:
        """Keys down, columns across; keys on which all agree are left out."""
        found = [_told(column.values()) for column in self.columns]
        across = {key: [one.get(key, "not set") for one in found] for key in dict.fromkeys(chain(*found))}
        rows = [cells(f"`{key}`", *values) for key, values in across.items() if len(set(values)) > 1]
        notes = [] if rows else ["No setting differs."]
        return Table("Settings that differ", ["setting", *self.names], rows, notes, words=len(self.names) + 1)

    def figures_table(self) -> Table:
        """Subject, metric and protocol down, columns across, the best in bold; rows on which all agree are left out."""
        keys = list(dict.fromkeys(chain(*self.figures)))
        subjects, metrics = list(dict.fromkeys(subject for subject, _, _ in keys)), list(METRICS)
        rows = []
        for key in sorted(keys, key=lambda key: (subjects.index(key[0]), metrics.index(key[1]))):
            across = [figures.get(key) for figures in self.figures]
            shown = [figure_cell(figure) for figure in across]
            if len({cell.text for cell in shown}) > 1 or len(across) == 1:
                there = [figure for figure in across if figure and figure["value"] is not None]
                differ = len({figure_cell(figure).text for figure in there}) > 1
                top = figure_cell(best(there)).text if differ else None
                marked = [replace(cell, best=cell.text == top) for cell in shown]
                rows.append(cells(subject_title(key[0]), metric_title(key[1]), f"`{key[2]}`", *marked))
        same = len(keys) - len(rows)
        notes = [f"Left out, as they are the same in all: {same}."] if same else []
        if any(len(column) > 1 for column in self.columns):
            notes.append("Over several seeds: mean ± standard deviation [95 % t-interval of the mean].")
        title = "Figures that differ" if len(self.columns) > 1 else "Figures"
        return Table(title, ["of", "metric", "protocol", *self.names], rows, notes, words=3)

    def pictures(self) -> list[dict[str, Any]]:
        """Each picture that some run has, as every column's first run drew it."""
        drawn: dict[str, dict[str, Any]] = {}
        for name, column in zip(self.names, self.columns, strict=True):
            first = next(iter(column))
            for picture in column[first].pictures:
                one = drawn.setdefault(picture["name"], {"across": dict.fromkeys(self.names)})
                one["caption"] = picture["caption"]
                one["across"][name] = read_picture(self._directories[first] / picture["file"])
        return list(drawn.values())


def _directories(paths: list[Path]) -> dict[str, Path]:
    """Each path's directory under its name; those of one name are numbered."""
    if len(paths) < 2:
        raise RequestError(f"records: found {len(paths)}, allowed: two or more (record=PATH renders one)")
    directories = [(path if path.is_dir() else path.parent).resolve() for path in paths]
    if twice := [directory for directory, times in Counter(directories).items() if times > 1]:
        raise RequestError(f"records: found {twice[0]} twice, allowed: once")
    return dict(zip(numbered(directory.name for directory in directories), directories, strict=True))


def settings(record: Record) -> dict[str, Any]:
    """What decides a run's figures besides its seed, under dotted keys."""
    config = {key: value for key, value in decisive(record.config).items() if key != "seed"}
    data = {"name": record.data.get("name"), "fingerprint": record.data.get("fingerprint")}
    machine = {key: record.machine.get(key) for key in ("device", "precision")}
    return _flat({"command": record.command, **config, "data": data, "machine": machine})


def _told(column: Iterable[Record]) -> dict[str, str]:
    """The settings of a column, and what is none and yet worth knowing where it differs; all values of its runs."""
    every = [
        settings(record) | _flat({"commit": record.commit, "processor": record.machine.get("processor"),
                                  "versions": record.versions})
        for record in column
    ]  # fmt: skip
    return {key: str(_all(one[key] for one in every if key in one)) for key in dict.fromkeys(chain(*every))}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _measured(column: Iterable[Record]) -> list[Figure]:
    """A column's figures over its seeds, each with the `details` of its protocol; points of curves are left out.

    Runs of the same settings measure under the same protocols in the same order, so figures belong together by their
    place among those of their subject and metric; what follows from the seed, as the judge does, may differ.
    """
    together: dict[tuple[str, str, int], list[Figure]] = defaultdict(list)
    for record in column:
        places: Counter[tuple[str, str]] = Counter()
        for figure in record.figures:
            if figure.get("at") is None:
                what = (figure["subject"], figure["metric"])
                places[what] += 1
                known = record.protocols.get(figure["protocol"], {}).items()
                details = {key: value for key, value in known if (key, value) != ("seed", record.seed)}
                together[*what, places[what]].append({**figure, "details": details})
    return [_over_seeds(figures) for figures in together.values()]


def _over_seeds(figures: list[Figure]) -> Figure:
    """Mean, standard deviation and t-interval of the figures that are there; one alone stays what it is."""
    there = [figure for figure in figures if figure["value"] is not None]
    if len(there) < 2:
        return {**(there or figures)[0], "seeds": 1}
    mean, spread, interval = seeds_interval([figure["value"] for figure in there])
    names = [figure["protocol"] for figure in there]
    alike = "".join(signs[0] for signs in takewhile(lambda signs: len(set(signs)) == 1, zip(*names, strict=False)))
    return {
        **{key: there[0].get(key) for key in ("subject", "metric", "count")},
        # A judge's digest follows from the seed: of such names that with which all begin.
        "protocol": names[0] if len(set(names)) == 1 else f"{alike}…",
        "value": mean, "spread": spread, "interval": interval, "seeds": len(there),
        "details": {key: _all(one["details"].get(key) for one in there) for key in there[0]["details"]},
    }  # fmt: skip


def _all(values: Iterable[Any]) -> Any:
    """The value on which all agree, or every value as a text."""
    different = {str(value): value for value in values}
    return "; ".join(different) if len(different) > 1 else next(iter(different.values()))
