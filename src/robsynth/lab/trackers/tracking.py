"""A run's tracker: what it is told, what it has to do; and how it is opened and closed with the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pkgutil import resolve_name
from types import TracebackType
from typing import Any, Self

from robsynth.config import TrackerSettings
from robsynth.errors import Pruned, RequestError, status_of
from robsynth.files import digest, read_json, write_json
from robsynth.lab.listening import Listener, Rows
from robsynth.processes import is_first
from robsynth.progress import say
from robsynth.records.record import RECORD, Record

TRACKERS = {
    "wandb": "weights_and_biases:WeightsAndBiases",
    "tensorboard": "files:TensorBoard",
    "csv": "files:CsvFiles",
}
# Says which record was logged, with what.
MARK = "tracked.json"


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


class Tracker:
    """One run's log; this one keeps nothing.

    It begins anew with every attempt at the run: the record and checkpoints have all there was.
    """

    def epochs(self, training: str, rows: Rows) -> None:
        """Log the next epochs of a training."""

    def record(self, record: Record) -> None:
        """Log what there is once the work is done: figures, and as far as there is a place for them, files."""

    def close(self, status: int) -> list[str] | None:
        """End the log with the run's exit status; returns what it left, as paths below the run's directory."""
        return None


class Tracking:
    """Logs a run while it goes on, in one process of it, and ends the log however the run ends.

    A tracker that fails costs one line and its log, never the run. A run that was logged whole is not logged again.
    The listener hears every training's history too, and may end the run by what it raises.
    """

    def __init__(self, info: RunInfo, listener: Listener) -> None:
        self._info, self._listener, self._settings = info, listener, asdict(info.settings)
        self._tracker = Tracker()
        # The record that a tracker holds, and how many epochs of each training.
        self._logged: str | None = None
        self._epochs: dict[str, int] = {}

    def __enter__(self) -> Self:
        directory = self._info.directory
        if (directory / MARK).is_file() and (directory / RECORD).is_file():
            mark = read_json(directory / MARK)
            if mark["tracker"] == self._settings and all((directory / file).exists() for file in mark["files"]):
                self._logged = mark["content"]
        if self._logged is None:
            self._open()
        return self

    def history(self, training: str, rows: Rows) -> None:
        """All epochs of a training so far."""
        self._log_history(training, rows)
        self._listener.history(training, rows)

    def record(self, record: Record) -> None:
        """What the run came to; the tracker then holds what the record holds."""
        content = digest([record.history, record.figures, record.pictures])
        if content == self._logged:
            return
        if self._logged is not None:
            self._open()
        for training, rows in record.history.items():
            self._log_history(training, rows)
        with self._surviving():
            self._tracker.record(record)
        self._logged = content

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # A trial that was pruned did what it was for.
        status = 0 if error is None or isinstance(error, Pruned) else status_of(error)
        with self._surviving():
            left = self._tracker.close(status)
            if left is not None and error is None:
                mark = {"tracker": self._settings, "content": self._logged, "files": left}
                write_json(self._info.directory / MARK, mark)

    def _open(self) -> None:
        self._epochs = {}
        if self._info.settings.name in TRACKERS and is_first():
            with self._surviving(but=RequestError):
                self._tracker = resolve_name(f"{__package__}.{TRACKERS[self._info.settings.name]}")(self._info)

    def _log_history(self, training: str, rows: Rows) -> None:
        known, self._epochs[training] = self._epochs.get(training, 0), len(rows)
        if new := rows[known:]:
            with self._surviving():
                self._tracker.epochs(training, new)

    @contextmanager
    def _surviving(self, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """What fails within is the end of the tracker, not of the run, `but` for such errors."""
        try:
            yield
        except but:
            raise
        except Exception as error:
            self._tracker = Tracker()
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say(f"tracker: {self._info.settings.name} failed ({reason}); the record has everything")
