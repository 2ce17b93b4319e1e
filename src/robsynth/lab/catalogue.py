"""The runs that lie below a directory, as far as they have come."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json
from robsynth.lab.run import FAILED, MANIFEST, STAGES
from robsynth.records.record import FILE, Record, load_record


@dataclass(frozen=True)
class LocalRun:
    """A run on disk: "finished" has a record, "unfinished" has not yet, "failed" ended badly, "unreadable" is damaged.

    `stage` is the last that was done, or the one that failed; `figures` are as in a record.
    """

    directory: Path
    run: str
    status: str
    command: str | None = None
    experiment: str | None = None
    dataset: str | None = None
    seed: int | None = None
    started: str | None = None
    finished: str | None = None
    stage: str | None = None
    error: str | None = None
    figures: list[dict[str, Any]] = field(default_factory=list)

    def about(self) -> dict[str, Any]:
        """All but the figures, JSON-like."""
        found = {key: value for key, value in vars(self).items() if key != "figures"}
        return {**found, "directory": str(self.directory)}


def find_runs(under: list[str]) -> list[LocalRun]:
    """Every run below these directories.

    Raises
    ------
    RequestError
        If none of the directories is there.
    """
    if not any(Path(root).is_dir() for root in under):
        raise RequestError(f"under: no directory {', '.join(under)} here; allowed: directories with runs below them")
    return [_read(directory) for root in under for directory in _directories(root)]


def _directories(root: str) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        folders.sort()
        if MANIFEST in files or FILE in files:
            # What lies in a run's directory is its own.
            folders.clear()
            yield Path(place)


def _read(directory: Path) -> LocalRun:
    try:
        done = (directory / FILE).is_file()
        found = _from_record(directory, load_record(directory)) if done else _from_stages(directory)
    except (RequestError, KeyError, TypeError, AttributeError) as error:
        return LocalRun(directory, directory.name, "unreadable", error=str(error))
    return found


def _from_record(directory: Path, record: Record) -> LocalRun:
    return LocalRun(
        directory, record.run, command=record.command, experiment=record.experiment, dataset=record.data["name"],
        seed=record.seed, started=record.started, finished=record.finished, figures=record.figures,
        **_how_it_ended(directory, "finished", record.stages),
    )  # fmt: skip


def _from_stages(directory: Path) -> LocalRun:
    manifest = read_json(directory / MANIFEST)
    identity = manifest["identity"]
    config = identity["config"]
    # By their files: several stages may finish within a second, which is all that their own times say.
    paths = sorted((directory / STAGES).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    stages = [read_json(path) for path in paths]
    return LocalRun(
        directory, manifest["run"], command=identity["command"], experiment=config.get("experiment"),
        dataset=(config.get("dataset") or config["reference"])["name"], seed=config["seed"],
        started=manifest["started"], figures=[one for stage in stages for one in stage["result"].get("figures", [])],
        **_how_it_ended(directory, "unfinished", stages),
    )  # fmt: skip


def _how_it_ended(directory: Path, otherwise: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    if (directory / FAILED).is_file():
        failed = read_json(directory / FAILED)
        return {"status": "failed", "stage": failed["stage"], "error": failed["error"]}
    return {"status": otherwise, "stage": stages[-1]["name"] if stages else None}
