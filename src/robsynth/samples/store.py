"""A directory of finished images in shards, each whole or absent, so that a killed run goes on where it was."""

from pathlib import Path
from typing import Any

import numpy as np

from robsynth.directories import claim
from robsynth.errors import RequestError
from robsynth.files import read_json, write_atomically
from robsynth.samples.arrays import ArrayFile, ArraySamples, names_in
from robsynth.samples.source import FIELDS, MemorySamples, Samples

MANIFEST = "store.json"
FORMAT = "robsynth-samples-1"


class SampleStore:
    """`store.json` says what the images are; `00000.npz`, `00001.npz`, ... hold them.

    A shard holds arrays with one row an image: `images` uint8 (n, H, W, C), `wanted` int64 (n,) the class
    asked for, and where a task has them `start`, `original` and `mask`, laid out like `images`. Shard k holds
    images k*batch_size onwards.
    """

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory, self.manifest = directory, manifest

    @classmethod
    def open(cls, directory: Path) -> "SampleStore":
        """A store that exists."""
        manifest = read_json(directory / MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise RequestError(f"{directory / MANIFEST}: not the manifest of a sample store ({FORMAT})")
        return cls(directory, manifest)

    @classmethod
    def create(
        cls, directory: Path, count: int, batch_size: int, about: dict[str, Any], among: bool = False
    ) -> "SampleStore":
        """A new store, or the one that is there if it was made with the same settings.

        Raises
        ------
        RequestError
            If the directory holds a store of other settings (they are named) or, unless `among`, other files.
        """
        manifest = {"format": FORMAT, "count": count, "batch_size": batch_size, **about}
        return cls(directory, claim(directory, MANIFEST, manifest, "samples", among=among))

    @property
    def count(self) -> int:
        return int(self.manifest["count"])

    @property
    def shards(self) -> list[range]:
        """The image numbers of each shard."""
        size = int(self.manifest["batch_size"])
        return [range(first, min(first + size, self.count)) for first in range(0, self.count, size)]

    def path(self, shard: int) -> Path:
        return self.directory / f"{shard:05}.npz"

    def missing(self) -> list[int]:
        """The shards that are not there yet."""
        return [shard for shard in range(len(self.shards)) if not self.path(shard).exists()]

    def write(self, shard: int, arrays: dict[str, np.ndarray]) -> None:
        write_atomically(self.path(shard), lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def open_store(directory: Path) -> Samples:
    """The images of a finished store, whatever the size of its shards.

    Raises
    ------
    RequestError
        If a shard is missing, damaged or of another length; the file is named.
    """
    store = SampleStore.open(directory)
    if absent := store.missing():
        raise RequestError(f"{store.path(absent[0])}: missing; this store is unfinished ({len(absent)} shards)")
    if not store.count:
        raise RequestError(f"{directory / MANIFEST}: a store of no images; allowed: at least one")
    files = [_shard(store.path(shard), len(rows)) for shard, rows in enumerate(store.shards)]
    return ArraySamples(directory.name, files)


def first_images(store: SampleStore, count: int) -> Samples | None:
    """The first `count` images of a store that may be unfinished, in memory; None until they are all there."""
    needed = [shard for shard, rows in enumerate(store.shards) if rows.start < count]
    if count > store.count or not all(store.path(shard).exists() for shard in needed):
        return None
    files = [_shard(store.path(shard), len(store.shards[shard])) for shard in needed]
    name = store.directory.name
    return MemorySamples(name, ArraySamples(name, files).first(count))


def _shard(path: Path, rows: int) -> dict[str, ArrayFile]:
    arrays = {name: ArrayFile(path, name) for name in names_in(path) if name in FIELDS}
    if "images" not in arrays or any(array.shape[:1] != (rows,) for array in arrays.values()):
        raise RequestError(f"{path}: does not hold {rows} images")
    return arrays
