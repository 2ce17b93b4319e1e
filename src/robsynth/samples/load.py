"""Opening samples of any origin."""

from pathlib import Path

from robsynth.errors import RequestError
from robsynth.samples.arrays import open_npy, open_npz
from robsynth.samples.folder import Folder
from robsynth.samples.registered import PREFIX, Registered
from robsynth.samples.source import Samples, SampleSet
from robsynth.samples.store import MANIFEST, open_store


def open_samples(path: str | Path, key: str = "samples") -> Samples:
    """A sample store, a folder of images by name, an .npz or .npy file, or an input of torch-fidelity's.

    Raises
    ------
    RequestError
        If it is none of these, or not fit to be measured (see the classes); `key` is named.
    """
    if str(path).startswith(PREFIX):
        return Registered(str(path), key)
    path = Path(path)
    if (path / MANIFEST).is_file():
        return open_store(path)
    if path.is_dir():
        return Folder(path, key)
    if path.is_file() and path.suffix.lower() in (".npz", ".npy"):
        return open_npz(path) if path.suffix.lower() == ".npz" else open_npy(path)
    found = path if path.exists() else f"nothing at {path}"
    raise RequestError(
        f"{key}: found {found}, allowed: a sample store, a folder of images, an .npz or .npy file, or {PREFIX}NAME"
    )


def load_samples(path: str | Path, key: str = "samples", most: int | None = None) -> SampleSet:
    """All samples, or the first `most`, in memory."""
    return open_samples(path, key).first(most)
