"""Weights by a rule, so that a large checkpoint can be made again from the names and shapes of its tensors."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def fixed(name: str, shape: Sequence[int]) -> Tensor:
    """The tensor of this name: random, but the same everywhere, and such that activations keep their size."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1)
    # The raw stream of a NumPy generator never changes.
    bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape))) >> np.uint64(40)
    uniform = torch.from_numpy((bits / 2.0**24).astype(np.float32)).reshape(tuple(shape))
    if name.endswith("running_var"):
        return 0.5 + uniform
    if len(shape) > 1:
        return (2 * uniform - 1) * (3 / uniform[0].numel()) ** 0.5
    return uniform if name.endswith("weight") else uniform - 0.5


def fixed_images(size: int) -> Tensor:
    """Two images (2, 3, size, size) in [0, 1]."""
    bits = np.random.PCG64(0).random_raw(2 * 3 * size * size) >> np.uint64(40)
    return torch.from_numpy((bits / 2.0**24).astype(np.float32)).reshape(2, 3, size, size)
