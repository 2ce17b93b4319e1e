"""Event files that TensorBoard shows."""

import json
import shutil

import numpy as np
from PIL import Image

from robsynth.errors import RequestError
from robsynth.lab.trackers.tracker import Job, Rows
from robsynth.records.record import Record
from robsynth.records.rows import figure_key

LOGS = "tensorboard"


class TensorBoard:
    """`tensorboard/` beside the record: metrics by epoch, figures, pictures, and as texts what is no number.

    Numbers are float32 there.
    """

    def __init__(self, job: Job) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise RequestError(
                "tracker: tensorboard is not here (pip install 'robsynth[tensorboard]'); allowed: wandb, csv, none"
            ) from None
        self._directory = job.directory
        shutil.rmtree(job.directory / LOGS, ignore_errors=True)
        self._writer = SummaryWriter(job.directory / LOGS)
        self._epochs: dict[str, int] = {}
        about = {"run": job.name, "tags": job.tags, **job.config}
        self._writer.add_text("config", _code(json.dumps(about, indent=2)))

    def history(self, training: str, rows: Rows) -> None:
        for row in rows[self._epochs.get(training, 0) :]:
            for key in row.keys() - {"epoch"}:
                self._writer.add_scalar(f"{training}/{key}", row[key], int(row["epoch"]))
        self._epochs[training] = len(rows)
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


def _code(text: str) -> str:
    """A text that TensorBoard's Markdown leaves as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
