"""Several runs side by side; those that differ in nothing but the seed count as one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import digest, write_text
from robsynth.records.figures import METRICS
from robsynth.records.record import Record, load_record
from robsynth.records.rows import FIGURE_COLUMNS, figure_row, to_csv
from robsynth.reports.formats import markdown
from robsynth.reports.page import page
from robsynth.reports.render import read_picture
from robsynth.reports.tables import Cell, Table, figure_cell, is_point, metric_title, subject_title

# What changes no figure.
INCIDENTAL = ("out", "force", "debug", "tracker")
Settings = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A record, under the name of its directory."""

    name: str
    directory: Path
    record: Record


@dataclass(frozen=True)
class Group:
    """Runs whose settings differ in nothing but the seed."""

    runs: list[Opened]

    @property
    def name(self) -> str:
        others = len(self.runs) - 1
        return self.runs[0].name + (f" and {others} other seed{'s' if others > 1 else ''}" if others else "")

    @property
    def seeds(self) -> list[int]:
        return [run.record.seed for run in self.runs]


@dataclass(frozen=True)
class Row:
    """What may be compared: figures of one subject in one metric, under one protocol down to its details."""

    subject: str
    metric: str
    protocol: str
    details: str


def compare(paths: list[Path], out: Path) -> dict[str, Path]:
    """Write `compare.html` (self-contained), `compare.md` and `compare.csv` about two or more records into `out`.

    Raises
    ------
    RequestError
        If there are fewer than two records, one twice, or one that cannot be read.
    """
    groups = group_by_seed(open_records(paths))
    measured = [group_figures(group) for group in groups]
    tables = [_runs_table(groups), settings_table(groups), figures_table(groups, measured)]
    names = _numbered(_keys(measured))
    rows = [
        {**figure_row(figure), "run": group.name, "protocol": names[key]}
        for group, found in zip(groups, measured, strict=True)
        for key, figure in found.items()
    ]
    texts = {
        "compare.html": page("compare.html.j2", title="Comparison", tables=tables, pictures=_pictures(groups),
                             known=_protocols(measured)),
        "compare.md": "\n\n".join(["# Comparison", *(f"## {table.title}\n\n{markdown(table)}" for table in tables)])
        + "\n",
        "compare.csv": to_csv(("run", *FIGURE_COLUMNS), rows),
    }  # fmt: skip
    for name, text in texts.items():
        write_text(out / name, text)
    return dict(zip(("page", "tables", "figures"), (out / name for name in texts), strict=True))


def open_records(paths: list[Path]) -> list[Opened]:
    """Each path's record; directories of one name are numbered."""
    if len(paths) < 2:
        raise RequestError(f"records: found {len(paths)}, allowed: two or more (record=PATH renders one)")
    directories = [path if path.is_dir() else path.parent for path in paths]
    for place, directory in enumerate(directories):
        if directory.resolve() in [other.resolve() for other in directories[:place]]:
            raise RequestError(f"records: found {directory} twice, allowed: once")
    names = [directory.resolve().name for directory in directories]
    numbers = [
        f" ({names[: place + 1].count(name)})" if names.count(name) > 1 else "" for place, name in enumerate(names)
    ]
    return [
        Opened(name + number, directory, load_record(path))
        for name, number, directory, path in zip(names, numbers, directories, paths, strict=True)
    ]


def group_by_seed(runs: list[Opened]) -> list[Group]:
    """Runs of the same settings together, unless a seed is there already: that is the same run once more."""
    groups: list[Group] = []
    for run in runs:
        home = next((group for group in groups if _joins(run, group)), None)
        if home is None:
            groups.append(Group([run]))
        else:
            home.runs.append(run)
    return groups


def _joins(run: Opened, group: Group) -> bool:
    return settings(group.runs[0].record) == settings(run.record) and run.record.seed not in group.seeds


def settings(record: Record) -> Settings:
    """What decides a run's figures besides its seed, under dotted keys."""
    config = {key: value for key, value in record.config.items() if key not in (*INCIDENTAL, "seed")}
    data = {"name": record.data.get("name"), "fingerprint": record.data.get("fingerprint")}
    machine = {key: record.machine.get(key) for key in ("device", "precision")}
    return _flat({"command": record.command, **config, "data": data, "machine": machine})


def _flat(values: Mapping[str, Any], prefix: str = "") -> Settings:
    found: Settings = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _runs_table(groups: list[Group]) -> Table:
    rows = [
        [Cell(text) for text in (
            run.name, group.name, f"`{run.record.run}`", str(run.record.seed), run.record.finished[:16],
            f"`{run.record.commit or 'none'}`",
        )]
        for group in groups for run in group.runs
    ]  # fmt: skip
    header = ["record", "column", "run", "seed", "finished", "commit"]
    return Table("Runs", header, rows, words=len(header))


def settings_table(groups: list[Group]) -> Table:
    """Keys down, runs across; keys on which all agree are left out."""
    found = [settings(group.runs[0].record) | _circumstances(group) for group in groups]
    keys = dict.fromkeys(key for one in found for key in one)
    rows = [[Cell(f"`{key}`"), *[Cell(_shown(one, key)) for one in found]] for key in keys]
    differ = [row for row in rows if len({str(cell) for cell in row[1:]}) > 1]
    header = ["setting", *[group.name for group in groups]]
    notes = [] if differ else ["No setting differs."]
    return Table("Settings that differ", header, differ, notes, words=len(header))


def _circumstances(group: Group) -> Settings:
    """What is no setting, and yet worth knowing where it differs."""
    found: Settings = {}
    for run in group.runs:
        record = run.record
        known = {"commit": record.commit, "processor": record.machine.get("processor"), "versions": record.versions}
        for key, value in _flat(known).items():
            found[key] = value if found.get(key, value) == value else f"{found[key]}, {value}"
    return found


def _shown(values: Settings, key: str) -> str:
    return str(values[key]) if key in values else "not set"


def figures_table(groups: list[Group], measured: list[dict[Row, dict[str, Any]]]) -> Table:
    """Subject, metric and protocol down, groups across, the best in bold; rows on which all agree are left out."""
    keys = _keys(measured)
    names = _numbered(keys)
    rows = []
    for key in keys:
        across = [found.get(key) for found in measured]
        if len(groups) == 1 or len({figure_cell(figure).text for figure in across}) > 1:
            words = (subject_title(key.subject), metric_title(key.metric), f"`{names[key]}`")
            rows.append([*map(Cell, words), *_cells(across)])
    same = len(keys) - len(rows)
    notes = [f"Left out, as they are the same in all: {same}."] if same else []
    if any(len(group.runs) > 1 for group in groups):
        notes.append("Over several seeds: mean ± standard deviation [95 % t-interval of the mean].")
    title = "Figures that differ" if len(groups) > 1 else "Figures"
    return Table(title, ["of", "metric", "protocol", *[group.name for group in groups]], rows, notes, words=3)


def _keys(measured: list[dict[Row, dict[str, Any]]]) -> list[Row]:
    """Every group's rows, subject after subject, and metric after metric."""
    keys = list(dict.fromkeys(key for found in measured for key in found))
    subjects = list(dict.fromkeys(key.subject for key in keys))
    return sorted(keys, key=lambda key: (subjects.index(key.subject), list(METRICS).index(key.metric)))


def _numbered(keys: Iterable[Row]) -> dict[Row, str]:
    """Protocols' names; those that differ only in their details with a number."""
    details: dict[str, list[str]] = {}
    for key in keys:
        seen = details.setdefault(key.protocol, [])
        if key.details not in seen:
            seen.append(key.details)
    return {
        key: key.protocol + (f" ({found.index(key.details) + 1})" if len(found := details[key.protocol]) > 1 else "")
        for key in keys
    }


def _cells(across: list[dict[str, Any] | None]) -> list[Cell]:
    """A row's cells, with the best in bold unless all look the same."""
    cells = [figure_cell(figure) for figure in across]
    there = [figure for figure in across if figure and figure["value"] is not None]
    if len({figure_cell(figure).text for figure in there}) < 2:
        return cells
    choose = max if METRICS[there[0]["metric"]].better == "higher" else min
    best = figure_cell(choose(there, key=lambda figure: figure["value"])).text
    return [replace(cell, best=cell.text == best) for cell in cells]


def group_figures(group: Group) -> dict[Row, dict[str, Any]]:
    """A group's figures over its seeds, with `details` of their protocols; points of curves are left out.

    Runs of the same settings measure under the same protocols in the same order, so figures belong together by
    their place among those of their subject and metric; what follows from the seed, as the judge does, may differ.
    """
    together: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for run in group.runs:
        places: dict[tuple[str, str], int] = {}
        for figure in run.record.figures:
            if not is_point(figure):
                what = (figure["subject"], figure["metric"])
                places[what] = places.get(what, -1) + 1
                known = {**figure, "details": _details(figure, run.record)}
                together.setdefault((*what, places[what]), []).append(known)
    merged = [over_seeds(found) for found in together.values()]
    return {Row(one["subject"], one["metric"], one["protocol"], digest(one["details"])): one for one in merged}


def _details(figure: dict[str, Any], record: Record) -> dict[str, Any]:
    """A protocol but for the run's own seed."""
    details = record.protocols.get(figure["protocol"], {})
    return {key: value for key, value in details.items() if (key, value) != ("seed", record.seed)}


def over_seeds(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation and t-interval of the figures that are there; one alone stays what it is."""
    there = [figure for figure in figures if figure["value"] is not None]
    if len(there) < 2:
        return {**(there or figures)[0], "seeds": 1}
    values = [figure["value"] for figure in there]
    mean, spread = fmean(values), stdev(values)
    half = _t_quantile(len(values) - 1) * spread / len(values) ** 0.5
    return {
        "subject": there[0]["subject"], "metric": there[0]["metric"], "value": mean,
        "protocol": _name_for_all([figure["protocol"] for figure in there]),
        "count": there[0].get("count"), "spread": spread, "interval": [mean - half, mean + half], "seeds": len(values),
        "details": _all_of([figure["details"] for figure in there]),
    }  # fmt: skip


def _name_for_all(names: list[str]) -> str:
    """A name, or as far as all begin alike: a judge's digest follows from the seed."""
    alike = takewhile(lambda signs: len(set(signs)) == 1, zip(*names, strict=False))
    return names[0] if len(set(names)) == 1 else "".join(signs[0] for signs in alike) + "…"


def _t_quantile(freedom: int) -> float:
    """97.5 % of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def _all_of(details: list[dict[str, Any]]) -> dict[str, Any]:
    """One value where all agree, else every value."""
    found = {}
    for key in details[0]:
        values = list(dict.fromkeys(str(one.get(key)) for one in details))
        found[key] = details[0][key] if len(values) == 1 else "; ".join(values)
    return found


def _protocols(measured: list[dict[Row, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The details of every protocol under the name that it has in the table."""
    details = {key: figure["details"] for found in measured for key, figure in found.items()}
    names = _numbered(_keys(measured))
    return {names[key]: details[key] for key in names}


def _pictures(groups: list[Group]) -> list[dict[str, Any]]:
    """Each picture that some run has, as every group's first run drew it."""
    captions = {picture["name"]: picture["caption"] for group in groups for picture in group.runs[0].record.pictures}
    return [
        {"caption": caption, "across": [(group.name, _picture(group.runs[0], name)) for group in groups]}
        for name, caption in captions.items()
    ]


def _picture(run: Opened, name: str) -> bytes | None:
    files = [picture["file"] for picture in run.record.pictures if picture["name"] == name]
    return read_picture(run.directory / files[0]) if files else None
