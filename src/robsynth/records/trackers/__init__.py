"""Where a run is logged besides its record: W&B, TensorBoard, CSV files."""

from robsynth.records.trackers.tracker import Job, Rows, Tracker
from robsynth.records.trackers.tracking import Tracking

__all__ = ["Job", "Rows", "Tracker", "Tracking"]
