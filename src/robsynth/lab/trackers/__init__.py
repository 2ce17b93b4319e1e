"""Where a run is logged besides its record: W&B, TensorBoard, CSV files."""

from robsynth.lab.trackers.tracker import RunInfo, Tracker
from robsynth.lab.trackers.tracking import Tracking

__all__ = ["RunInfo", "Tracker", "Tracking"]
