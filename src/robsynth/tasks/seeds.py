"""Seed distributions: where generated images come from."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from robsynth.data import ImageSet, MemoryImages
from robsynth.errors import RequestError
from robsynth.files import cache_directory, read_npz, write_atomically

# The variance that is added to every pixel (Santurkar et al., 2019, in their notebooks).
NOISE_VARIANCE = 1e-4
# A factor takes 49 MB for an ImageNet class at 56x56, 354 MB for a superclass of many.
CLASSES_KEPT = 16


class Seeds(Protocol):
    """A distribution of start images for each class."""

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A start image for each of `labels` (n,), on their device: float (n, C, H, W), clamped to [0, 1]."""
        ...


def block_upsample(images: Tensor, factor: int) -> Tensor:
    """Each pixel of (N, C, h, w) becomes a block of factor x factor."""
    return interpolate(images, scale_factor=float(factor), mode="nearest") if factor > 1 else images


class ClassGaussians:
    """A Gaussian for each class over (pooled) pixels: N(mean, covariance / N + 1e-4 I), Santurkar et al. (2019).

    Of a class of n images in d dimensions it keeps a factor F with F'F the covariance, and draws mean + F'z + 0.01 e
    with z and e standard normal, which is exactly that distribution. With few images F is the centred images
    themselves, (n, d), and no covariance is ever formed; with many it is the covariance's Cholesky factor, (d, d).
    One class is fitted at a time, when it is first drawn from, and only a few are kept in memory.
    """

    def __init__(self, images: ImageSet, pool: int = 1) -> None:
        """Fit to `images`, averaged over `pool` x `pool` blocks."""
        channels, height, width = images.shape
        if height % pool or width % pool:
            raise RequestError(f"tasks.generation.pool: found {pool}, allowed: a divisor of {height} and {width}")
        self.images, self.pool = images, pool
        self.shape = (channels, height // pool, width // pool)
        self._factor = lru_cache(CLASSES_KEPT)(self._kept)

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return _draw(labels, generators, self._factor, lambda label: math.sqrt(NOISE_VARIANCE), self.shape, self.pool)

    def low_rank(self, rank: int) -> "LowRankGaussians":
        """The same means, and each covariance within the `rank` axes along which classes vary most on average.

        What is left of a class's variance becomes noise. A basis for all classes costs less than one for each: for
        CIFAR-10 rank 240 takes 3 MB, where ten bases of their own would take 15.
        """
        classes, dimension = len(self.images.label_names), math.prod(self.shape)
        pooled = torch.zeros(dimension, dimension)
        for label in range(classes):
            _, factor = self._kept(label)
            pooled.addmm_(factor.T, factor, alpha=1 / classes)
        basis = _principal_axes(pooled, min(rank, dimension))
        fits = [self._within(basis, label) for label in range(classes)]
        means, factors, deviations = (torch.stack(part) for part in zip(*fits, strict=True))
        return LowRankGaussians(means, basis, factors, deviations, self.shape, self.pool)

    def _within(self, basis: Tensor, label: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (d,), a factor (r, r) of the covariance within the basis (r, d), and the deviation of the rest."""
        mean, factor = self._kept(label)
        inside = (factor @ basis.T).double()
        covariance = inside.T @ inside
        rest = (factor.square().sum() - covariance.trace()).clamp(min=0) / len(mean)
        nudge = 1e-3 * NOISE_VARIANCE * torch.eye(len(basis), dtype=torch.float64)
        return mean, torch.linalg.cholesky(covariance + nudge).T.float(), (NOISE_VARIANCE + rest).sqrt().float()

    def _kept(self, label: int) -> tuple[Tensor, Tensor]:
        """The fit of one class; of images that have to be decoded it is kept on disk, as that takes minutes."""
        if isinstance(self.images, MemoryImages):
            return self._fit(label)
        path = cache_directory() / "seeds" / f"{self.images.fingerprint}-pool{self.pool}" / f"{label}.npz"
        if path.exists():
            with contextlib.suppress(RequestError, KeyError):
                kept = read_npz(path)
                return torch.from_numpy(kept["mean"]), torch.from_numpy(kept["factor"]).float()
        mean, factor = self._fit(label)
        # Half precision is finer than the grey levels that the images had.
        arrays = {"mean": mean.numpy(), "factor": factor.half().numpy()}
        write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
        return mean, factor.half().float()

    def _fit(self, label: int) -> tuple[Tensor, Tensor]:
        """Mean (d,), and a factor (n, d) or (d, d) of the covariance: covariance = factor' factor."""
        rows = self.images.of_class(label)
        if len(rows) <= math.prod(self.shape):
            pixels = torch.cat(list(self._pooled(rows)))
            mean = pixels.mean(0, dtype=torch.float64).float()
            return mean, (pixels - mean) / math.sqrt(len(rows))
        mean = sum(chunk.sum(0, dtype=torch.float64) for chunk in self._pooled(rows)) / len(rows)  # type: ignore[assignment]
        covariance = torch.zeros(len(mean), len(mean))
        for chunk in self._pooled(rows):
            centred = chunk - mean.float()
            covariance.addmm_(centred.T, centred, alpha=1 / len(rows))
        # A nudge far below the noise that is added anyway, so that the factor exists.
        nudge = 1e-3 * NOISE_VARIANCE * torch.eye(len(mean), dtype=torch.float64)
        return mean.float(), torch.linalg.cholesky(covariance.double() + nudge).T.float()

    def _pooled(self, rows: Tensor) -> Iterator[Tensor]:
        for chunk in self.images.chunks(rows):
            yield avg_pool2d(chunk.float() / 255, self.pool).flatten(1)


class LowRankGaussians:
    """N(mean, (F B)'(F B) + deviation^2 I) for each class, with one basis B for all.

    `means` (K, d), `basis` (r, d), `factors` (K, r, r), `deviations` (K,). Small enough to travel with a classifier,
    whose bundle keeps them in half precision.
    """

    def __init__(
        self, means: Tensor, basis: Tensor, factors: Tensor, deviations: Tensor, shape: tuple[int, int, int], pool: int
    ) -> None:
        self.means, self.basis, self.factors = means.half(), basis.half(), factors.half()
        self.deviations, self.shape, self.pool = deviations.float(), shape, pool

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        def factor(label: int) -> tuple[Tensor, Tensor]:
            return self.means[label].float(), self.factors[label].float() @ basis

        basis = self.basis.float()
        return _draw(labels, generators, lru_cache(CLASSES_KEPT)(factor), lambda label: self.deviations[label].item(),
                     self.shape, self.pool)  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """What a bundle keeps."""
        layout = torch.tensor([*self.shape, self.pool])
        return {"means": self.means, "basis": self.basis, "factors": self.factors, "deviations": self.deviations,
                "layout": layout}  # fmt: skip

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "LowRankGaussians":
        channels, height, width, pool = tensors["layout"].tolist()
        shape = (channels, height, width)
        return cls(tensors["means"], tensors["basis"], tensors["factors"], tensors["deviations"], shape, pool)


def _draw(labels, generators, factor_of, deviation_of, shape, pool):  # type: ignore[no-untyped-def]
    """One image after the other and on the CPU, so that none depends on its batch or device in any bit."""
    seeds = torch.empty(len(labels), *shape)
    for i, (label, generator) in enumerate(zip(labels.tolist(), generators, strict=True)):
        mean, factor = factor_of(label)
        z = torch.randn(len(factor), generator=generator)
        e = torch.randn(len(mean), generator=generator)
        seeds[i] = (mean + z @ factor + deviation_of(label) * e).view(shape)
    return block_upsample(seeds.clamp(0, 1).to(labels.device), pool)


def _principal_axes(covariance: Tensor, rank: int) -> Tensor:
    """The (rank, d) axes of the greatest variance, of length one (Halko et al., 2011)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, axes = torch.svd_lowrank(covariance, q=min(rank + 20, len(covariance)), niter=4)
    return axes.T[:rank].contiguous()
