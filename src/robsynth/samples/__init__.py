"""Images on disk: our own sample stores, and other people's samples."""

from robsynth.samples.load import SampleSet, load_samples
from robsynth.samples.quantise import to_uint8
from robsynth.samples.store import SampleStore

__all__ = ["SampleSet", "SampleStore", "load_samples", "to_uint8"]
