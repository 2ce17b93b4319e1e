"""Features of many images, computed once: chunk by chunk into a cache that is keyed by content.

A chunk's key is made of its pixels and of all that decides the extractor's output, so changed pixels or weights
never meet old features; whoever was killed goes on at the next chunk, and nothing is ever all in memory unless a
metric asks for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robsynth import processes
from robsynth.data import ImageSet, MemoryImages
from robsynth.files import cache_directory, digest, read_npz
from robsynth.metrics.cache import is_kept, keep_arrays
from robsynth.metrics.extractors import Extractor
from robsynth.progress import track
from robsynth.samples import Samples, inspection, pixels_digest


class ImageSource(ABC):
    """Images that features are wanted of, in the chunks of an inspection; `keys` are digests of their content."""

    name: str
    keys: tuple[str, ...]
    count: int

    @abstractmethod
    def read(self, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The chunks with these numbers, in order, each uint8 (n, H, W, C) and after its number."""

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """The images with these numbers (n,), in this order: uint8 (n, H, W, C)."""
        size = inspection.CHUNK
        wanted = sorted(set((rows // size).tolist()))
        found: dict[int, np.ndarray] = {}
        for number, images in self.read(wanted) if wanted else ():
            found |= {row: images[row - number * size] for row in rows.tolist() if row // size == number}
        return np.array([found[row] for row in rows.tolist()], dtype=np.uint8)


class SampleSource(ImageSource):
    """Samples, known by the digests of their inspection."""

    def __init__(self, samples: Samples) -> None:
        self.name, self.keys, self.count = samples.name, samples.inspection.digests, len(samples)
        self._samples = samples

    def read(self, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        most = (max(wanted) + 1) * inspection.CHUNK
        for number, chunk in enumerate(self._samples.chunks(inspection.CHUNK, most)):
            if number in wanted:
                yield number, chunk.images


class DataSource(ImageSource):
    """The first `count` images of a data set.

    Where pixels are in memory they are the key, so that the same images as samples are no others; where they would
    have to be decoded for that, the set's fingerprint stands for them.
    """

    def __init__(self, images: ImageSet, count: int) -> None:
        self.name, self.count, self._images = images.name, count, images
        size = inspection.CHUNK
        self._rows = [range(first, min(first + size, count)) for first in range(0, count, size)]
        if isinstance(images, MemoryImages):
            self.keys = tuple(pixels_digest(self._pixels(rows)) for rows in self._rows)
        else:
            self.keys = tuple(digest([images.fingerprint, images.shape, rows[0], rows[-1]]) for rows in self._rows)

    def _pixels(self, rows: range) -> np.ndarray:
        return self._images.pixels(rows).permute(0, 2, 3, 1).contiguous().numpy()

    def read(self, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        for number in wanted:
            yield number, self._pixels(self._rows[number])


@dataclass(frozen=True)
class Features:
    """The outputs of an extractor on the first `count` images of a source, computed when they are first read."""

    source: ImageSource
    extractor: Extractor
    count: int

    @property
    def key(self) -> str:
        """A digest of the images' content, of the extractor and of the kind of device that it computes on."""
        return digest([self._folder, self.count, *self._keys])

    @property
    def _folder(self) -> str:
        # Devices round differently, so that a figure of one must not be made of features of another.
        return f"{self.extractor.name}-{self.extractor.digest}-{self.extractor.device.type}"

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.source.keys[: -(-self.count // inspection.CHUNK)]

    def chunks(self, name: str = "features") -> Iterator[np.ndarray]:
        """float32 (n, D) in order; `name` may be "logits" where the extractor has them.

        Raises
        ------
        RunError
            If the cache cannot be written to; ROBSYNTH_CACHE names another place for it.
        """
        left = self.count
        for path in self._computed():
            yield read_npz(path)[name][:left]
            left -= inspection.CHUNK

    def all(self, name: str = "features") -> np.ndarray:
        """float32 (count, D)."""
        return np.concatenate(list(self.chunks(name)))

    def compute_share(self) -> None:
        """This process's share of the chunks that are missing, so that whoever reads them finds them."""
        self._compute(processes.mine(self._missing()))

    @property
    def _paths(self) -> list[Path]:
        folder = cache_directory() / "features" / self._folder
        return [folder / f"{key}.npz" for key in self._keys]

    def _missing(self) -> list[int]:
        return [number for number, path in enumerate(self._paths) if not is_kept(path)]

    def _computed(self) -> list[Path]:
        self._compute(self._missing())
        return self._paths

    def _compute(self, wanted: list[int]) -> None:
        if not wanted:
            return
        paths, label = self._paths, f"{self.extractor.name}: {self.source.name}"
        for number, images in track(self.source.read(wanted), label, total=len(wanted)):
            keep_arrays(paths[number], self.extractor(images))
