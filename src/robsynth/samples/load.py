"""Samples by their path."""

from pathlib import Path

from robsynth.errors import RequestError
from robsynth.samples.arrays import ArrayFile, ArraySamples, names_in
from robsynth.samples.fidelity import PREFIX, open_fidelity
from robsynth.samples.folder import FolderSamples
from robsynth.samples.source import Samples, SampleSet
from robsynth.samples.store import MANIFEST, SampleStore

ABOUT = ("wanted", "start", "original", "mask")
ALLOWED = f"a sample store, a folder of images, an .npz or .npy file, or {PREFIX}NAME"


def open_samples(path: str | Path, key: str = "samples") -> Samples:
    """A sample store, a folder of images, an array file, or `fidelity:NAME`, an input that torch-fidelity knows.

    An .npy is uint8 (n, H, W, C), and so is an .npz's `images`, or `arr_0` as in the ADM layout; an .npz may have
    labels as `wanted` or `arr_1`, and `start`, `original` and `mask` as a store's shards have them.

    Raises
    ------
    RequestError
        If it is none of these or is damaged, with what was found and what is allowed.
    """
    if str(path).startswith(PREFIX):
        return open_fidelity(str(path).removeprefix(PREFIX), key)
    path = Path(path)
    if (path / MANIFEST).is_file():
        return _open_store(path)
    if path.is_dir():
        return FolderSamples(path, key)
    if path.is_file() and path.suffix == ".npz":
        return ArraySamples(path.name, [_arrays(path)])
    if path.is_file() and path.suffix == ".npy":
        return ArraySamples(path.name, [{"images": ArrayFile(path)}])
    raise RequestError(f"{key}: {path} is {'none' if path.exists() else 'not there'}, allowed: {ALLOWED}")


def load_samples(path: str | Path, key: str = "samples", most: int | None = None) -> SampleSet:
    """Samples of any origin in memory, all or the first `most`."""
    return open_samples(path, key).first(most)


def _open_store(directory: Path) -> ArraySamples:
    store = SampleStore.open(directory)
    if absent := store.missing():
        raise RequestError(f"{store.path(absent[0])}: missing; this store is unfinished ({len(absent)} shards)")
    files = []
    for shard, rows in enumerate(store.shards):
        arrays = _arrays(store.path(shard))
        if len(arrays["images"].shape) and len(arrays["images"]) != len(rows): 
            raise RequestError(f"{store.path(shard)}: does not hold {len(rows)} images")
        files.append(arrays)
    return ArraySamples(directory.name, files)


def _arrays(path: Path) -> dict[str, ArrayFile]:
    """An .npz file's arrays by what they are."""
    found = names_in(path)
    names = {"images": "images" if "images" in found else "arr_0"}
    ...
