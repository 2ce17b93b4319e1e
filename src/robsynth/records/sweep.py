"""The record of a sweep: its jobs with their settings, how they ended and their figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.records.figures import best
from robsynth.records.record import Kept


@dataclass
class SweepRecord(Kept):
    """One sweep.

    `jobs` have `job`, `status`, `settings`, `figures` (the objective's first, None where a job lacks one) and, where
    there are, `error` and `picture`, a PNG beside the record. `importance` is each parameter's share of the
    objective's variance, or None with the reason in `no_importance`; `best` is a job, or None with `no_best`.
    """

    FILE = "comparison.json"
    FORMAT = "robsynth-sweep-1"

    sweep: str
    command: str
    sampler: str
    started: str
    finished: str
    commit: str | None
    versions: dict[str, str]
    machine: dict[str, Any]
    data: dict[str, Any]
    words: list[str]
    prepare: dict[str, list[str]]
    params: dict[str, str]
    objective: str
    columns: list[str]
    logarithmic: list[str]
    pruning: dict[str, Any]
    jobs: list[dict[str, Any]]
    protocols: dict[str, dict[str, Any]]
    best: str | None = None
    no_best: str | None = None
    importance: dict[str, float] | None = None
    no_importance: str | None = None

    def measured(self) -> list[dict[str, Any]]:
        """The finished jobs that have the objective's figure."""
        return [job for job in self.jobs if job["status"] == "finished" and job["figures"][0] is not None]

    def job(self, name: str) -> dict[str, Any]:
        return next(job for job in self.jobs if job["job"] == name)


load_sweep = SweepRecord.load


def choose_best(record: SweepRecord) -> str:
    """The job with the best figure, the first of several; a RequestError if nothing can be compared."""
    figures = {str(job["job"]): job["figures"][0] for job in record.measured()}
    protocols = dict.fromkeys(figure["protocol"] for figure in figures.values())
    if not protocols:
        raise RequestError("no job has the figure")
    if len(protocols) > 1:
        raise RequestError(f"the jobs' figures stand under different protocols ({', '.join(protocols)})")
    top = best(list(figures.values()))
    return next(job for job, figure in figures.items() if figure == top)


def is_sweep(path: Path) -> bool:
    """Whether this is a sweep's record or its directory."""
    return path.name == SweepRecord.FILE if path.is_file() else (path / SweepRecord.FILE).is_file()
