"""Logs that are files beside the record: CSV, and events that TensorBoard shows."""

import json
import shutil
import textwrap

import numpy as np
from PIL import Image

from robsynth.errors import RequestError
from robsynth.files import write_text
from robsynth.lab.listening import Rows
from robsynth.lab.trackers.tracking import RunInfo, Tracker
from robsynth.records.figures import FIGURE_COLUMNS, figure_key, figure_row, to_csv
from robsynth.records.record import Record

METRICS, FIGURES, LOGS = "metrics.csv", "figures.csv", "tensorboard"


class CsvFiles(Tracker):
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


class TensorBoard(Tracker):
    """`tensorboard/` beside the record: metrics by epoch, figures, pictures, and as texts what is no number.

    Numbers are float32 there.
    """

    def __init__(self, info: RunInfo) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise RequestError(
                "tracker: tensorboard is not here (pip install 'robsynth[tensorboard]'); allowed: wandb, csv, none"
            ) from None
        self._directory = info.directory
        shutil.rmtree(info.directory / LOGS, ignore_errors=True)
        self._writer = SummaryWriter(info.directory / LOGS)
        about = json.dumps({"run": info.name, "tags": info.tags, **info.config}, indent=2)
        # Indented, so that TensorBoard's Markdown leaves it as it is.
        self._writer.add_text("config", textwrap.indent(about, "    "))

    def epochs(self, training: str, rows: Rows) -> None:
        for row in rows:
            for key in row.keys() - {"epoch"}:
                self._writer.add_scalar(f"{training}/{key}", row[key], int(row["epoch"]))
        self._writer.flush()

    def record(self, record: Record) -> None:
        for figure in record.figures:
            if figure["value"] is None:
                self._writer.add_text(figure_key(figure), figure.get("why", "not available"))
            else:
                self._writer.add_scalar(figure_key(figure), figure["value"])
        for picture in record.pictures:
            pixels = np.asarray(Image.open(self._directory / picture["file"]).convert("RGB"))
            self._writer.add_image(f"pictures/{picture['name']}", pixels, dataformats="HWC")

    def close(self, status: int) -> list[str]:
        self._writer.add_text("exit status", str(status))
        self._writer.close()
        return [LOGS]
