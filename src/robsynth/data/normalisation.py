"""The normalisation that a classifier of a data set begins with."""

from robsynth.config import Dataset
from robsynth.data.images import DataSet


def normalisation(data: DataSet, settings: Dataset) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel: the settings', or the training split's (of up to 10,000 images)."""
    if settings.mean is not None and settings.std is not None:
        return settings.mean, settings.std
    pixels = data.train.pixels(range(min(len(data.train), 10_000))).double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]
