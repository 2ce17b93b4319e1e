"""A run's tracker, opened and closed with the run."""

import importlib
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Self, TypeVar

from robsynth.errors import Pruned, RequestError, status_of
from robsynth.files import digest, read_json, write_json
from robsynth.lab.listening import Listener, Rows
from robsynth.lab.trackers.tracker import RunInfo, Tracker
from robsynth.processes import is_first
from robsynth.progress import say
from robsynth.records.record import RECORD, Record

T = TypeVar("T")
# Each tracker's module and class.
TRACKERS = {
    "wandb": ("weights_and_biases", "WeightsAndBiases"),
    "tensorboard": ("tensorboard", "TensorBoard"),
    "csv": ("csv_files", "CsvFiles"),
}
# Says which record was logged, with what.
MARK = "tracked.json"


class Tracking:
    """Logs a run while it goes on, in one process of it, and ends the log however the run ends.

    A tracker that fails costs one line and its log, never the run. A run that was logged whole is not logged again.
    The listener hears every training's history too, and may end the run by what it raises.
    """

    def __init__(self, info: RunInfo, listener: Listener) -> None:
        self._info, self._listener, self._settings = info, listener, asdict(info.settings)
        self._tracker: Tracker | None = None
        self._wanted = info.settings.name in TRACKERS and is_first()
        # The record that the tracker holds, and how many epochs of each training.
        self._logged: str | None = None
        self._epochs: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._logged = self._logged_before()
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
        if self._tracker is None:
            self._open()
        for training, rows in record.history.items():
            self._log_history(training, rows)
        self._try(lambda tracker: tracker.record(record))
        self._logged = content

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # A trial that was pruned did what it was for.
        status = 0 if error is None or isinstance(error, Pruned) else status_of(error)
        left = self._try(lambda tracker: tracker.close(status))
        if left is not None and error is None:
            mark = {"tracker": self._settings, "content": self._logged, "files": left}
            write_json(self._info.directory / MARK, mark)

    def _log_history(self, training: str, rows: Rows) -> None:
        known, self._epochs[training] = self._epochs.get(training, 0), len(rows)
        if new := rows[known:]:
            self._try(lambda tracker: tracker.epochs(training, new))

    def _logged_before(self) -> str | None:
        """The content of the record that this tracker holds already."""
        directory = self._info.directory
        if not (directory / MARK).is_file() or not (directory / RECORD).is_file():
            return None
        mark = read_json(directory / MARK)
        whole = mark["tracker"] == self._settings and all((directory / file).exists() for file in mark["files"])
        return mark["content"] if whole else None

    def _open(self) -> None:
        self._epochs = {}
        if not self._wanted:
            return
        module, name = TRACKERS[self._info.settings.name]
        try:
            self._tracker = getattr(importlib.import_module(f"{__package__}.{module}"), name)(self._info)
        except RequestError:
            raise
        except Exception as error:
            self._give_up(error)

    def _try(self, work: Callable[[Tracker], T]) -> T | None:
        try:
            return work(self._tracker) if self._tracker is not None else None
        except Exception as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self._tracker, self._wanted = None, False
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"tracker: {self._info.settings.name} failed ({reason}); the record has everything")
