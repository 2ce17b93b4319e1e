"""CIFAR-10 as its authors and torchvision lay it out: pickled arrays, of which only arrays are let through."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.errors import RequestError

FOLDER = "cifar-10-batches-py"
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
}  # fmt: skip


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays and plain values; whatever else a pickle names is refused, not imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 3072), plane by plane, and labels int64 (n,) of one pickled batch."""
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="latin1").load()
        pixels, labels = np.asarray(batch["data"]), np.asarray(batch["labels"], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072):
            raise ValueError(f"{len(labels)} labels, pixels {pixels.dtype} {pixels.shape}")
        return pixels, labels
    except FileNotFoundError:
        raise RequestError(f"{path}: no such file") from None
    except Exception as error:  # A damaged pickle raises nearly anything.
        raise RequestError(f"{path}: not a batch of CIFAR-10 ({error})") from None


def is_cifar_batches(folder: Path) -> bool:
    return (folder / BATCHES["train"][0]).is_file()


def cifar_batches(folder: Path, split: str, label_names: tuple[str, ...]) -> Listing:
    """A split from the pickles in a folder."""
    batches = [read_batch(folder / name) for name in BATCHES[split]]
    images = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = np.concatenate([labels for _, labels in batches])
    digest = digest_of(*(part.tobytes() for batch in batches for part in batch))
    return Listing(
        torch.from_numpy(labels),
        label_names,
        lambda i: np.ascontiguousarray(images[i]),
        lambda i: f"{folder}, {split}, image {i}",
        digest,
    )
