"""Every random number here comes from a generator that is derived from names, never from a global state.

So a run that was killed, or spread over processes, draws what the uninterrupted run draws. Generators live on
the CPU, so every device starts from the same noise.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def generator(seed: int, *names: int | str) -> torch.Generator:
    """The generator of one purpose, e.g. ``generator(0, "attack", epoch, batch)``."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


@dataclass(frozen=True)
class Share:
    """The generator of a batch of `total` rows, for the process that has those from `first` on.

    Every process draws for the whole batch and takes its own rows, so that what an image meets does not depend on how
    many processes share the batch.
    """

    generator: torch.Generator
    total: int
    first: int


OfBatch = torch.Generator | Share
"""What a whole batch draws from."""


def whole(source: OfBatch) -> torch.Generator:
    """The generator itself, for what is drawn once for a batch."""
    return source.generator if isinstance(source, Share) else source


def rows(draw: Callable[[int, torch.Generator], Tensor], count: int, source: OfBatch) -> Tensor:
    """`count` rows of what ``draw(n, generator)`` gives for the n rows of the whole batch."""
    if isinstance(source, Share):
        return draw(source.total, source.generator)[source.first : source.first + count]
    return draw(count, source)


Generators = OfBatch | Sequence[torch.Generator]
"""What noise for a batch is drawn from: one generator, or one for each sample."""


def _draw(draw: Callable[..., Tensor], like: Tensor, generators: Generators) -> Tensor:
    if isinstance(generators, OfBatch):
        noise = rows(lambda n, g: draw((n, *like.shape[1:]), generator=g), len(like), generators)
    else:
        noise = torch.stack([draw(like.shape[1:], generator=g) for g in generators])
    return noise.to(like)


def standard_normal(like: Tensor, generators: Generators) -> Tensor:
    """N(0, 1) of the shape, dtype and device of `like`; from one generator, or one for each sample."""
    return _draw(torch.randn, like, generators)


def uniform(like: Tensor, generators: Generators) -> Tensor:
    """U(0, 1) of the shape, dtype and device of `like`; from one generator, or one for each sample."""
    return _draw(torch.rand, like, generators)
