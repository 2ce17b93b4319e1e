"""Images on disk: our own sample stores, and other people's samples."""

from robsynth.samples.inspection import Inspection, pixels_digest
from robsynth.samples.load import load_samples, open_samples
from robsynth.samples.quantise import as_pixels, to_uint8
from robsynth.samples.source import MemorySamples, Samples, SampleSet, WithImages, WithLabels
from robsynth.samples.store import SampleStore

__all__ = [
    "Inspection",
    "MemorySamples",
    "SampleSet",
    "SampleStore",
    "Samples",
    "WithImages",
    "WithLabels",
    "as_pixels",
    "load_samples",
    "open_samples",
    "pixels_digest",
    "to_uint8",
]
