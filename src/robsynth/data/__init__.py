"""Where images come from."""

from robsynth.data.images import DataSet, ImageSet, MemoryImages, StreamedImages
from robsynth.data.load import DATA_SETS, load_data

__all__ = ["DATA_SETS", "DataSet", "ImageSet", "MemoryImages", "StreamedImages", "load_data"]
