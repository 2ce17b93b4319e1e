"""The normalisation that a classifier of a data set begins with."""

import torch

from robsynth.config import Dataset
from robsynth.data.images import DataSet

# Images of the training split that are looked at, at most.
IMAGES = 10_000


def normalisation(data: DataSet, settings: Dataset) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel: the settings', or the training split's (of up to 10,000 images)."""
    if settings.mean is not None and settings.std is not None:
        return settings.mean, settings.std
    # How often each channel has each grey level says both exactly, a chunk of images at a time.
    counts = torch.zeros(data.shape[0], 256, dtype=torch.float64)
    for images in data.train.chunks(torch.arange(min(len(data.train), IMAGES))):
        channels = images.transpose(0, 1).flatten(1)
        counts += torch.stack([channel.bincount(minlength=256) for channel in channels])
    levels, total = torch.arange(256, dtype=torch.float64) / 255, counts[0].sum()
    mean = counts @ levels / total
    variance = (counts * (levels - mean[:, None]).square()).sum(1) / (total - 1)
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in variance.sqrt().tolist()]
