"""Where a run is logged besides its record: W&B, TensorBoard, CSV files."""

from robsynth.lab.trackers.tracking import RunInfo, Tracking

__all__ = ["RunInfo", "Tracking"]
