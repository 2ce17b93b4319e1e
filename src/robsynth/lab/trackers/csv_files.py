"""Two CSV files beside the record."""

from robsynth.files import write_text
from robsynth.lab.trackers.tracker import Job, Rows
from robsynth.records.record import Record
from robsynth.records.rows import FIGURE_COLUMNS, figure_row, to_csv

METRICS, FIGURES = "metrics.csv", "figures.csv"


class CsvFiles:
    """`metrics.csv`, a line an epoch of each training, whole after every epoch; at the end `figures.csv`."""

    def __init__(self, job: Job) -> None:
        self._directory = job.directory
        self._history: dict[str, Rows] = {}

    def history(self, training: str, rows: Rows) -> None:
        self._history[training] = rows
        lines = [{"training": name, **row} for name, found in self._history.items() for row in found]
        columns = dict.fromkeys(key for line in lines for key in line)
        write_text(self._directory / METRICS, to_csv(list(columns), lines))

    def record(self, record: Record) -> None:
        write_text(self._directory / FIGURES, to_csv(FIGURE_COLUMNS, map(figure_row, record.figures)))

    def close(self, status: int) -> list[str]:
        return [name for name in (METRICS, FIGURES) if (self._directory / name).is_file()]
