"""Inputs that are registered with torch-fidelity."""

import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

import numpy as np
import torch
from torch.utils.data import Dataset

from robsynth.errors import RequestError
from robsynth.samples.source import Samples, SampleSet, ranges

PREFIX = "fidelity:"


class FidelitySamples(Samples):
    """The images of a torch-fidelity input, a Dataset of uint8 tensors (C, H, W)."""

    def __init__(self, name: str, dataset: Dataset) -> None:
        self.name, self._dataset, self._count = name, dataset, len(dataset)  # type: ignore[arg-type]
        if not self._count:
            raise RequestError(f"{name}: it has no images")
        first = dataset[0]
        if not torch.is_tensor(first) or first.dtype != torch.uint8 or first.ndim != 3 or first.shape[0] not in (1, 3):
            found = f"{first.dtype} {tuple(first.shape)}" if torch.is_tensor(first) else type(first).__name__
            raise RequestError(f"{name}: an image is {found}, allowed: a uint8 tensor (1 or 3, height, width)")
        channels, height, width = first.shape
        self.shape, self.has, self.warnings = (height, width, channels), frozenset({"images"}), []

    def __len__(self) -> int:
        return self._count

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield SampleSet(np.stack([self._image(row) for row in rows]))

    def _image(self, row: int) -> np.ndarray:
        image: torch.Tensor = self._dataset[row].permute(1, 2, 0)
        if tuple(image.shape) != self.shape:
            raise RequestError(
                f"{self.name}: image {row} is {tuple(image.shape)} and image 0 is {self.shape} "
                "(height, width, channels), allowed: one shape"
            )
        return image.numpy()


def open_fidelity(name: str, key: str = "samples") -> FidelitySamples:
    """The input registered under `name`, downloaded as torch-fidelity does where it is not there yet.

    Raises
    ------
    RequestError
        If there is no such input, or its data is neither there nor to be had.
    """
    from torch_fidelity.registry import DATASETS_REGISTRY

    if name not in DATASETS_REGISTRY:
        raise RequestError(f"{key}: found {PREFIX}{name}, allowed: {', '.join(PREFIX + one for one in DATASETS_REGISTRY)}")
    # Where torch-fidelity itself keeps data sets.
    root = os.path.join(torch.hub._get_torch_home(), "fidelity_datasets")
    try:
        os.makedirs(root, exist_ok=True)
        with redirect_stdout(sys.stderr):
            dataset = DATASETS_REGISTRY[name](root, True)
    # A constructor is anyone's, and so are its exceptions.
    except Exception as error:
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RequestError(f"{key}: {PREFIX}{name} is not in {root} and cannot be downloaded ({why})") from error
    return FidelitySamples(f"{PREFIX}{name}", dataset)
