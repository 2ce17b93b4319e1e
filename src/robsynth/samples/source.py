"""Samples of any origin, read a chunk at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from robsynth.samples import inspection as looking
from robsynth.samples.checks import check_beside, check_images


@dataclass(frozen=True)
class SampleSet:
    """Images uint8 (n, H, W, C); what is known about each is None where the source does not say.

    `wanted` int (n,) is the class asked for; `start`, `original` and `mask` are laid out like `images`, but a mask
    may have one channel.
    """

    images: np.ndarray
    wanted: np.ndarray | None = None
    start: np.ndarray | None = None
    original: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def arrays(self) -> dict[str, np.ndarray]:
        """What is there, by name."""
        found = {name: getattr(self, name) for name in FIELDS}
        return {name: array for name, array in found.items() if array is not None}

    def take(self, rows: slice | list[int]) -> "SampleSet":
        """Some of the rows."""
        return SampleSet(**{name: array[rows] for name, array in self.arrays().items()})

    @staticmethod
    def joined(sets: "list[SampleSet]") -> "SampleSet":
        """One set after the other; all of them know the same of their images."""
        parts = [part.arrays() for part in sets]
        return SampleSet(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


FIELDS = tuple(field.name for field in fields(SampleSet))


class Samples(ABC):
    """Images of one shape, in order, of which no more than some chunks are in memory.

    `shape` is (H, W, C), C 1 or 3; `has` are the names of a chunk's arrays; `warnings` is what whoever measures these
    images should know; `folder_labels` has, where images lie in folders, the name of each image's folder.
    """

    name: str
    shape: tuple[int, int, int]
    has: frozenset[str]
    warnings: list[str]
    folder_labels: list[str] | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def wanted(self) -> np.ndarray | None:
        """The class asked for of every image, int64 (n,)."""
        return None

    @abstractmethod
    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        """All images, or the first `most`: `size` of them at a time, and in the last chunk what is left."""

    @cached_property
    def inspection(self) -> looking.Inspection:
        """What a look at every pixel tells, once in this object's life."""
        return looking.inspect(self, looking.CHUNK)

    def first(self, most: int | None = None) -> SampleSet:
        """The first `most` images (at least one), or all, in memory."""
        return SampleSet.joined(list(self.chunks(most=most)))


def ranges(count: int, size: int, most: int | None = None) -> Iterator[range]:
    """The rows of each chunk of `count`, or of the first `most`."""
    count = count if most is None else min(count, most)
    for first in range(0, count, size):
        yield range(first, min(first + size, count))


class MemorySamples(Samples):
    """Samples that are in memory.

    Raises
    ------
    RequestError
        If the images are not uint8 (n, H, W, C), or what stands beside them does not fit them.
    """

    def __init__(self, name: str, rows: SampleSet) -> None:
        check_images(name, rows.images.shape, rows.images.dtype, lambda: [rows.images])
        for label, array in rows.arrays().items():
            check_beside(f"{name}: {label}", label, array.shape, array.dtype, rows.images.shape)
        height, width, channels = rows.images.shape[1:]
        self.name, self.shape, self.warnings = name, (height, width, channels), []
        self.has = frozenset(rows.arrays())
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def wanted(self) -> np.ndarray | None:
        return None if self._rows.wanted is None else self._rows.wanted.astype(np.int64)

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield self._rows.take(slice(rows.start, rows.stop))


class WithLabels(Samples):
    """Samples whose classes became known, int64 (n,)."""

    def __init__(self, samples: Samples, wanted: np.ndarray) -> None:
        self.name, self.shape, self.warnings = samples.name, samples.shape, samples.warnings
        self.has = samples.has | {"wanted"}
        self._samples, self._wanted = samples, wanted

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def wanted(self) -> np.ndarray:
        return self._wanted

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        first = 0
        for chunk in self._samples.chunks(size, most):
            yield replace(chunk, wanted=self._wanted[first : first + len(chunk)])
            first += len(chunk)


class WithImages(Samples):
    """Samples with other images in place of their own, uint8 of the same shape, made of each chunk when it is read."""

    def __init__(self, samples: Samples, name: str, images: Callable[[SampleSet], np.ndarray]) -> None:
        self.name, self.shape, self.has, self.warnings = name, samples.shape, samples.has, []
        self.folder_labels = samples.folder_labels
        self._samples, self._images = samples, images

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def wanted(self) -> np.ndarray | None:
        return self._samples.wanted

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for chunk in self._samples.chunks(size, most):
            yield replace(chunk, images=self._images(chunk))
