"""Real images, to be measured as samples are."""

from collections.abc import Iterator

import numpy as np

from robsynth.data import ImageSet
from robsynth.samples import Samples, SampleSet


class DataSamples(Samples):
    """The first images of a data set, looked at as samples are."""

    def __init__(self, name: str, images: ImageSet, most: int) -> None:
        channels, height, width = images.shape
        self.name, self.shape, self.warnings = name, (height, width, channels), []
        self.has = frozenset({"images", "wanted"})
        self._images, self._count = images, min(most, len(images))

    def __len__(self) -> int:
        return self._count

    @property
    def wanted(self) -> np.ndarray:
        return self._images.labels[: self._count].numpy()

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        count = min(self._count, self._count if most is None else most)
        for first in range(0, count, size):
            rows = range(first, min(first + size, count))
            pixels = self._images.pixels(rows).permute(0, 2, 3, 1).contiguous().numpy()
            yield SampleSet(pixels, self.wanted[rows[0] : rows[-1] + 1])
