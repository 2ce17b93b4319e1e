"""What a tracker is told of a run, and what it has to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from robsynth.config import TrackerSettings
from robsynth.lab.listening import Rows
from robsynth.records.record import Record


@dataclass(frozen=True)
class RunInfo:
    """A run as it is known from its beginning; `started` stays when it is resumed."""

    name: str
    command: str
    started: str
    directory: Path
    config: dict[str, Any]
    settings: TrackerSettings

    @property
    def tags(self) -> list[str]:
        """Command, experiment, scale and data set, as far as the command has them."""
        data = self.config.get("dataset") or self.config["reference"]
        found = (self.command, self.config.get("experiment"), self.config.get("scale"), data["name"])
        return list(dict.fromkeys(filter(None, found)))


class Tracker(Protocol):
    """One run's log. It begins anew with every attempt at the run: the record and checkpoints have all there was."""

    def epochs(self, training: str, rows: Rows) -> None:
        """Log the next epochs of a training."""

    def record(self, record: Record) -> None:
        """Log what there is once the work is done: figures, and as far as there is a place for them, files."""

    def close(self, status: int) -> list[str]:
        """End the log with the run's exit status; returns what it left, as paths below the run's directory."""
