"""Every random number here comes from a generator that is derived from names, never from a global state.

So a run that was killed, or spread over processes, draws what the uninterrupted run draws. Generators live on
the CPU, so every device starts from the same noise.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def generator(seed: int, *names: int | str) -> torch.Generator:
    """The generator of one purpose, e.g. ``generator(0, "attack", epoch, batch)``."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def _draw(draw: object, like: Tensor, generators: torch.Generator | Sequence[torch.Generator]) -> Tensor:
    assert callable(draw)
    if isinstance(generators, torch.Generator):
        noise = draw(like.shape, generator=generators)
    else:
        noise = torch.stack([draw(like.shape[1:], generator=g) for g in generators])
    return noise.to(like)


def standard_normal(like: Tensor, generators: torch.Generator | Sequence[torch.Generator]) -> Tensor:
    """N(0, 1) of the shape, dtype and device of `like`; from one generator, or one for each sample."""
    return _draw(torch.randn, like, generators)


def uniform(like: Tensor, generators: torch.Generator | Sequence[torch.Generator]) -> Tensor:
    """U(0, 1) of the shape, dtype and device of `like`; from one generator, or one for each sample."""
    return _draw(torch.rand, like, generators)
