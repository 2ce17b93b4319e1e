"""Samples that are registered with torch-fidelity as an input."""

from collections.abc import Iterator
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
        first: Any = self._images[0]
        if not isinstance(first, torch.Tensor) or first.dtype != torch.uint8 or first.dim() != 3:
            found = type(first).__name__
            raise RequestError(f"{key}: {name} gives {found}, allowed: one uint8 tensor (C, H, W) an image")
        self.shape = (first.shape[1], first.shape[2], first.shape[0])
        self.has = frozenset({"images"})

    def __len__(self) -> int:
        return len(self._images)

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield SampleSet(np.stack([self._images[row].permute(1, 2, 0).numpy() for row in rows]))


def _opened(create: Any, name: str, key: str) -> Any:
    """From torch-fidelity's own cache of data sets, or downloaded into it."""
    # Where torch-fidelity itself keeps them: beside torch's hub directory.
    root = Path(torch.hub.get_dir()).parent / "fidelity_datasets"
    try:
        root.mkdir(parents=True, exist_ok=True)
        return create(str(root), True)
    except Exception as error:
        text = " ".join(str(error).split())
        raise RequestError(f"{key}: {name} cannot be opened below {root} or downloaded ({text})") from None
