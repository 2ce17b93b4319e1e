"""The record of a run, and how records go to disk and come back."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from robsynth.errors import RequestError
from robsynth.files import read_json, write_json

# A run's directory has what it is, its finished stages, its last failure and its record.
RUN = "run.json"
STAGES = "stages"
FAILED = "failed.json"
RECORD = "record.json"
# What a stage's row says that it took: "so far" where it is memory, of a GPU where there was one.
COSTS = ("wall_seconds", "cpu_seconds", "gpu_seconds", "peak_memory_gb", "peak_gpu_memory_gb")


class Kept:
    """A dataclass, JSON-like throughout, that is one file of a directory."""

    FILE: ClassVar[str]
    FORMAT: ClassVar[str]

    def save(self, directory: Path) -> Path:
        path = directory / self.FILE
        write_json(path, {**asdict(self), "format": self.FORMAT})  # type: ignore[call-overload]
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What is kept in a file, or in a directory's file of this name; a RequestError if it is not whole."""
        path = Path(path)
        path = path / cls.FILE if path.is_dir() else path
        content = read_json(path)
        if not isinstance(content, dict) or content.pop("format", None) != cls.FORMAT:
            raise RequestError(f"{path}: not a record (allowed: {cls.FORMAT})")
        try:
            return cls(**content)
        except TypeError as error:
            raise RequestError(f"{path}: not a whole record ({error})") from None


@dataclass
class Record(Kept):
    """One run.

    `figures` have a protocol's name, which `protocols` describes; `history` has the rows of each training;
    `pictures` name PNG files beside the record; `warnings` say what was odd about the images.
    """

    FILE = RECORD
    FORMAT = "robsynth-record-1"

    run: str
    command: str
    experiment: str | None
    scale: str | None
    started: str
    finished: str
    seed: int
    commit: str | None
    versions: dict[str, str]
    machine: dict[str, Any]
    config: dict[str, Any]
    data: dict[str, Any]
    stages: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    protocols: dict[str, dict[str, Any]]
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    pictures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


load_record = Record.load
