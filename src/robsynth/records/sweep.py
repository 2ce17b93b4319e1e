"""The record of a sweep: its jobs with their settings, how they ended and their figures."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json, write_json
from robsynth.records.figures import METRICS

FORMAT = "robsynth-sweep-1"
FILE = "comparison.json"


@dataclass
class SweepRecord:
    """One sweep, JSON-like throughout.

    `jobs` have `job`, `status`, `settings`, `figures` (the objective's first, None where a job lacks one) and, where
    there are, `error` and `picture`, a PNG beside the record. `importance` is each parameter's share of the
    objective's variance, or None with the reason in `no_importance`; `best` is a job, or None with `no_best`.
    """

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
    format: str = field(default=FORMAT)

    def save(self, directory: Path) -> Path:
        path = directory / FILE
        write_json(path, asdict(self))
        return path

    def measured(self) -> list[dict[str, Any]]:
        """The finished jobs that have the objective's figure."""
        return [job for job in self.jobs if job["status"] == "finished" and job["figures"][0] is not None]

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """Metric and protocol of the objective; more than one where jobs were measured in different ways."""
        return list(
            dict.fromkeys((job["figures"][0]["metric"], job["figures"][0]["protocol"]) for job in self.measured())
        )

    def job(self, name: str) -> dict[str, Any]:
        return next(job for job in self.jobs if job["job"] == name)


def choose_best(record: SweepRecord) -> str:
    """The job with the best figure, the first of several.

    Raises
    ------
    RequestError
        If there is none, or the figures stand under different protocols.
    """
    measured = record.measured()
    if not measured:
        raise RequestError("no job has the figure")
    if len(record.objectives) > 1:
        protocols = ", ".join(protocol for _, protocol in record.objectives)
        raise RequestError(f"the jobs' figures stand under different protocols ({protocols})")
    better = METRICS[record.objectives[0][0]].better
    choose = max if better == "higher" else min
    return str(choose(measured, key=lambda job: job["figures"][0]["value"])["job"])


def is_sweep(path: Path) -> bool:
    """Whether this is a sweep's record or its directory."""
    return path.name == FILE if path.is_file() else (path / FILE).is_file()


def load_sweep(path: Path) -> SweepRecord:
    """The record in a file, or in a directory."""
    path = path / FILE if path.is_dir() else path
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(f"{path}: not a sweep's record (allowed: {FORMAT})")
    try:
        return SweepRecord(**content)
    except TypeError as error:
        raise RequestError(f"{path}: not a whole record ({error})") from None
