"""The record of a run, and its way to and from disk."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json, write_json

FORMAT = "robsynth-record-1"
FILE = "record.json"


@dataclass
class Record:
    """One run, JSON-like throughout.

    `figures` have a protocol's name, which `protocols` describes; `history` has the rows of each training;
    `pictures` name PNG files beside the record; `warnings` say what was odd about the images.
    """

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
    format: str = FORMAT

    def save(self, directory: Path) -> Path:
        path = directory / FILE
        write_json(path, asdict(self))
        return path


def load_record(path: str | Path) -> Record:
    """The record in a file, or in a directory's record.json."""
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(f"{path}: not a record (allowed: {FORMAT})")
    try:
        return Record(**content)
    except TypeError as error:
        raise RequestError(f"{path}: not a whole record ({error})") from None
