"""Seed distributions: where generated images come from."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from robsynth.data import ImageSet
from robsynth.errors import RequestError

# The variance that is added to every pixel (Santurkar et al., 2019, in their notebooks).
NOISE_VARIANCE = 1e-4
# Of an ImageNet class at 56x56 the pixels take 49 MB.
CLASSES_KEPT = 16


class Seeds(Protocol):
    """A distribution of start images for each class."""

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A start image for each of `labels` (n,): float (n, C, H, W), clamped to [0, 1]."""
        ...


def block_upsample(images: Tensor, factor: int) -> Tensor:
    """Each pixel of (N, C, h, w) becomes a block of factor x factor."""
    return interpolate(images, scale_factor=float(factor), mode="nearest") if factor > 1 else images


class ClassGaussians:
    """A Gaussian for each class over (pooled) pixels: N(mean, covariance / N + 1e-4 I), Santurkar et al. (2019).

    A draw is mean + X'z / sqrt(N) + 0.01 e with X the class's centred images as rows and z, e standard
    normal: exactly that distribution, without ever forming a covariance. So a class of n images costs n*d
    numbers instead of d*d, and one class is looked at at a time.
    """

    def __init__(self, images: ImageSet, pool: int = 1) -> None:
        """Fit to `images`, averaged over `pool` x `pool` blocks."""
        channels, height, width = images.shape
        if height % pool or width % pool:
            raise RequestError(f"tasks.generation.pool: found {pool}, allowed: a divisor of {height} and {width}")
        self.images, self.pool = images, pool
        self.shape = (channels, height // pool, width // pool)
        self._factor = lru_cache(CLASSES_KEPT)(self._fit)

    def _fit(self, label: int) -> tuple[Tensor, Tensor]:
        """Mean (d,), and a factor (n, d) of the covariance: covariance = factor' factor."""
        chunks = self.images.chunks(self.images.of_class(label))
        pixels = torch.cat([avg_pool2d(chunk.float() / 255, self.pool).flatten(1) for chunk in chunks])
        mean = pixels.mean(0, dtype=torch.float64).float()
        return mean, (pixels - mean) / math.sqrt(len(pixels))

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return _draw(labels, generators, self._factor, lambda label: math.sqrt(NOISE_VARIANCE), self.shape, self.pool)

    def low_rank(self, rank: int) -> "LowRankGaussians":
        """The same means, and the covariances' `rank` greatest axes; what is left of the variance becomes noise."""
        means, axes, deviations = [], [], []
        for label in range(len(self.images.label_names)):
            mean, factor = self._fit(label)
            largest, variance = _principal(factor, rank)
            rest = max(factor.square().sum().item() - variance, 0) / len(mean)
            means.append(mean)
            axes.append(largest)
            deviations.append(math.sqrt(NOISE_VARIANCE + rest))
        return LowRankGaussians(torch.stack(means), torch.stack(axes), torch.tensor(deviations), self.shape, self.pool)


class LowRankGaussians:
    """N(mean, factor' factor + deviation^2 I) for each class: means (K, d), factors (K, r, d), deviations (K,).

    Small enough to travel with a classifier, whose bundle keeps them in half precision.
    """

    def __init__(
        self, means: Tensor, factors: Tensor, deviations: Tensor, shape: tuple[int, int, int], pool: int
    ) -> None:
        self.means, self.factors, self.deviations = means.half(), factors.half(), deviations.float()
        self.shape, self.pool = shape, pool

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return _draw(labels, generators, self._factor, lambda label: self.deviations[label].item(), self.shape,
                     self.pool)  # fmt: skip

    def _factor(self, label: int) -> tuple[Tensor, Tensor]:
        return self.means[label].float(), self.factors[label].float()

    def tensors(self) -> dict[str, Tensor]:
        """What a bundle keeps."""
        layout = torch.tensor([*self.shape, self.pool])
        return {"means": self.means, "factors": self.factors, "deviations": self.deviations, "layout": layout}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "LowRankGaussians":
        channels, height, width, pool = tensors["layout"].tolist()
        return cls(tensors["means"], tensors["factors"], tensors["deviations"], (channels, height, width), pool)


def _draw(labels, generators, factor_of, deviation_of, shape, pool):  # type: ignore[no-untyped-def]
    """One image after the other, so that none depends on its batch in any bit."""
    seeds = torch.empty(len(labels), *shape)
    for i, (label, generator) in enumerate(zip(labels.tolist(), generators, strict=True)):
        mean, factor = factor_of(label)
        z = torch.randn(len(factor), generator=generator)
        e = torch.randn(len(mean), generator=generator)
        seeds[i] = (mean + z @ factor + deviation_of(label) * e).view(shape)
    return block_upsample(seeds.clamp(0, 1), pool).to(labels.device)


def _principal(factor: Tensor, rank: int) -> tuple[Tensor, float]:
    """The rows of a (rank, d) factor of the best approximation to factor' factor, and the variance they hold."""
    n, d = factor.shape
    if n <= d:
        # The smaller Gram matrix has the same spectrum.
        values, vectors = torch.linalg.eigh((factor @ factor.T).double())
        top = vectors[:, -rank:].float().T @ factor
    else:
        values, vectors = torch.linalg.eigh((factor.T @ factor).double())
        top = values[-rank:].clamp(min=0).sqrt()[:, None].float() * vectors[:, -rank:].T.float()
    if len(top) < rank:
        top = torch.cat([top, torch.zeros(rank - len(top), d)])
    return top, values[-rank:].clamp(min=0).sum().item()
