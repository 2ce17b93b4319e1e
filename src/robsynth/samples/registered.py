"""Samples that are registered with torch-fidelity as an input."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robsynth.errors import RequestError
from robsynth.samples.source import Samples, SampleSet, ranges

PREFIX = "fidelity:"


class Registered(Samples):
    """`fidelity:NAME`: a data set that gives uint8 tensors (C, H, W), its own or one that a plugin registered."""

    def __init__(self, name: str, key: str) -> None:
        from torch_fidelity.registry import DATASETS_REGISTRY

        self.name, self.warnings = name.removeprefix(PREFIX), []
        if self.name not in DATASETS_REGISTRY:
            allowed = ", ".join(sorted(DATASETS_REGISTRY))
            raise RequestError(f"{key}: found {name}, allowed: {PREFIX} and one of {allowed}")
        self._images = _opened(DATASETS_REGISTRY[self.name], name, key)
        if not len(self._images):
            raise RequestError(f"{key}: {name} has no images")
        channels, height, width = _shape(self._images[0], name, key)
        self.shape = (height, width, channels)
        self.has = frozenset({"images"})

    def __len__(self) -> int:
        return len(self._images)

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield SampleSet(np.stack([self._image(row) for row in rows]))

    def _image(self, row: int) -> np.ndarray:
        image = self._images[row].permute(1, 2, 0).numpy()
        if image.shape != self.shape or image.dtype != np.uint8:
            raise RequestError(
                f"{PREFIX}{self.name}: image {row} is {image.dtype} {image.shape}, "
                f"allowed: uint8 {self.shape}, as the first"
            )
        return image


def _shape(image: Any, name: str, key: str) -> tuple[int, int, int]:
    tensor = isinstance(image, torch.Tensor)
    if not tensor or image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] not in (1, 3):
        found = f"{image.dtype} {tuple(image.shape)}" if tensor else type(image).__name__
        raise RequestError(f"{key}: {name} gives {found}, allowed: one uint8 tensor (1 or 3, H, W) an image")
    return tuple(image.shape)


def _opened(create: Any, name: str, key: str) -> Any:
    """From torch-fidelity's own cache of data sets, or downloaded into it."""
    # Where torch-fidelity itself keeps them: beside torch's hub directory.
    root = Path(torch.hub.get_dir()).parent / "fidelity_datasets"
    try:
        root.mkdir(parents=True, exist_ok=True)
        # A download talks; stdout is for machines.
        with redirect_stdout(sys.stderr):
            return create(str(root), True)
    except Exception as error:
        text = " ".join(str(error).split())
        raise RequestError(f"{key}: {name} cannot be opened below {root} or downloaded ({text})") from None
