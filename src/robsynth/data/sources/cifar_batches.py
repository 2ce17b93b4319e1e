"""CIFAR-10 as its authors and torchvision lay it out: pickled arrays, of which only arrays are let through."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.errors import RequestError

FOLDER = "cifar-10-batches-py"
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays and plain values; whatever else a pickle names is refused, not imported."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def read_batch(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except FileNotFoundError:
        raise RequestError(f"{path}: no such file") from None
    except Exception as error:  # A damaged pickle raises nearly anything.
        raise RequestError(f"{path}: not a batch of CIFAR-10 ({error})") from None


def is_cifar_batches(directory: Path) -> bool:
    return (directory / FOLDER / "data_batch_1").is_file()


def cifar_batches(directory: Path, split: str, names: tuple[str, ...]) -> Listing:
    folder = directory / FOLDER
    batches = [read_batch(folder / name) for name in BATCHES[split]]
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = [int(label) for batch in batches for label in batch["labels"]]
    sizes = [(name, (folder / name).stat().st_size) for name in BATCHES[split]]
    return Listing(labels, names, lambda i: images[i], lambda i: f"{folder}, {split}, image {i}", digest_of(sizes))
