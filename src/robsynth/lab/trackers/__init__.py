"""Where a run is logged besides its record: W&B, TensorBoard, CSV files."""

from robsynth.lab.trackers.tracker import Job, Rows, Tracker
from robsynth.lab.trackers.tracking import Tracking

__all__ = ["Job", "Rows", "Tracker", "Tracking"]
