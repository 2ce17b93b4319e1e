"""A run's tracker, opened and closed with the run."""

import importlib
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self, TypeVar

from robsynth.errors import Pruned, RequestError, status_of
from robsynth.files import digest, read_json, write_json
from robsynth.lab.trackers.tracker import Job, Rows, Tracker
from robsynth.processes import is_first
from robsynth.progress import say
from robsynth.records.record import FILE, Record

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
    `listen` hears every training's history too, and may end the run by what it raises.
    """

    def __init__(self, job: Job, listen: Callable[[str, Rows], None] = lambda training, rows: None) -> None:
        self._job, self._listen = job, listen
        self._tracker: Tracker | None = None
        self._wanted = job.settings.name in TRACKERS and is_first()
        self._logged: str | None = None

    def __enter__(self) -> Self:
        self._logged = self._logged_before()
        if self._logged is None:
            self._open()
        return self

    def history(self, training: str, rows: Rows) -> None:
        """All epochs of a training so far."""
        self._log_history(training, rows)
        self._listen(training, rows)

    def _log_history(self, training: str, rows: Rows) -> None:
        self._try(lambda tracker: tracker.history(training, rows))

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
            write_json(self._job.directory / MARK, mark)

    @property
    def _settings(self) -> dict[str, Any]:
        return asdict(self._job.settings)

    def _logged_before(self) -> str | None:
        """The content of the record that this tracker holds already."""
        directory = self._job.directory
        if not (directory / MARK).is_file() or not (directory / FILE).is_file():
            return None
        mark = read_json(directory / MARK)
        whole = mark["tracker"] == self._settings and all((directory / file).exists() for file in mark["files"])
        return mark["content"] if whole else None

    def _open(self) -> None:
        if not self._wanted:
            return
        module, name = TRACKERS[self._job.settings.name]
        try:
            self._tracker = getattr(importlib.import_module(f"{__package__}.{module}"), name)(self._job)
        except RequestError:
            raise
        except Exception as error:
            self._give_up(error)

    def _try(self, work: Callable[[Tracker], T]) -> T | None:
        if self._tracker is None:
            return None
        try:
            return work(self._tracker)
        except Exception as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self._tracker, self._wanted = None, False
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"tracker: {self._job.settings.name} failed ({reason}); the record has everything")
