"""The runs that lie below a directory, as far as they have come."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json
from robsynth.records.record import FAILED, RECORD, RUN, STAGES, Record


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

    def __post_init__(self) -> None:
        """A damaged record may hold anything: a RequestError says what is no text or no number."""
        texts = {key: value for key, value in self.about().items() if key != "seed"}
        texts |= {key: figure[key] for figure in self.figures for key in ("subject", "metric", "protocol")}
        if odd := [key for key, value in texts.items() if not isinstance(value, str | None)]:
            raise RequestError(f"{self.directory}: {odd[0]} is no text")
        if any(not isinstance(figure["value"], int | float | None) for figure in self.figures):
            raise RequestError(f"{self.directory}: a figure's value is no number")

    def about(self) -> dict[str, Any]:
        """All but the figures, JSON-like."""
        found = {key: value for key, value in vars(self).items() if key != "figures"}
        return {**found, "directory": str(self.directory)}


def find_runs(under: list[str]) -> list[LocalRun]:
    """Every run below these directories; a RequestError if none of the directories is there."""
    if not any(Path(root).is_dir() for root in under):
        raise RequestError(f"under: no directory {', '.join(under)} here; allowed: directories with runs below them")
    found = []
    for root in under:
        for place, folders, files in os.walk(root):
            folders.sort()
            if RUN in files or RECORD in files:
                # What lies in a run's directory is its own.
                folders.clear()
                found.append(_read(Path(place)))
    return found


def _read(directory: Path) -> LocalRun:
    try:
        known = _from_record(directory) if (directory / RECORD).is_file() else _from_stages(directory)
        if (directory / FAILED).is_file():
            failed = read_json(directory / FAILED)
            known |= {"status": "failed", "stage": failed["stage"], "error": failed["error"]}
        return LocalRun(directory, **known)
    # Whatever stands in files that were cut off or written by somebody else: the other runs are still to be listed.
    except Exception as error:
        said = str(error) if isinstance(error, RequestError) else f"{type(error).__name__}: {error}"
        return LocalRun(directory, directory.name, "unreadable", error=said)


def _from_record(directory: Path) -> dict[str, Any]:
    record = Record.load(directory)
    keys = ("run", "command", "experiment", "seed", "started", "finished", "figures")
    known = {key: getattr(record, key) for key in keys}
    stage = record.stages[-1]["name"] if record.stages else None
    return {**known, "dataset": record.data["name"], "status": "finished", "stage": stage}


def _from_stages(directory: Path) -> dict[str, Any]:
    manifest = read_json(directory / RUN)
    identity, config = manifest["identity"], manifest["identity"]["config"]
    # By their files: several stages may finish within a second, which is all that their own times say.
    paths = sorted((directory / STAGES).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    stages = [read_json(path) for path in paths]
    return {
        "run": manifest["run"], "command": identity["command"], "experiment": config.get("experiment"),
        "dataset": (config.get("dataset") or config["reference"])["name"], "seed": config["seed"],
        "started": manifest["started"], "status": "unfinished", "stage": stages[-1]["name"] if stages else None,
        "figures": [one for stage in stages for one in stage["result"].get("figures", [])],
    }  # fmt: skip
