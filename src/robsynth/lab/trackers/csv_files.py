"""Two CSV files beside the record."""

from robsynth.files import write_text
from robsynth.lab.listening import Rows
from robsynth.lab.trackers.tracker import RunInfo
from robsynth.records.figures import FIGURE_COLUMNS, figure_row, to_csv
from robsynth.records.record import Record

METRICS, FIGURES = "metrics.csv", "figures.csv"


class CsvFiles:
    """`metrics.csv`, a line an epoch of each training, whole after every epoch; at the end `figures.csv`."""

    def __init__(self, info: RunInfo) -> None:
        self._directory = info.directory
        self._lines: list[dict[str, object]] = []

    def epochs(self, training: str, rows: Rows) -> None:
        self._lines += [{"training": training, **row} for row in rows]
        columns = dict.fromkeys(key for line in self._lines for key in line)
        write_text(self._directory / METRICS, to_csv(list(columns), self._lines))

    def record(self, record: Record) -> None:
        write_text(self._directory / FIGURES, to_csv(FIGURE_COLUMNS, map(figure_row, record.figures)))

    def close(self, status: int) -> list[str]:
        return [name for name in (METRICS, FIGURES) if (self._directory / name).is_file()]
