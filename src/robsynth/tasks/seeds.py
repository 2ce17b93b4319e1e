"""Seed distributions: where generated images come from."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from robsynth.data import ImageSet


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
        self.images, self.pool = images, pool
        self._fitted: dict[int, tuple[Tensor, Tensor]] = {}

    def _fit(self, label: int) -> tuple[Tensor, Tensor]:
        if label not in self._fitted:
            chunks = self.images.chunks(self.images.of_class(label))
            pixels = torch.cat([avg_pool2d(chunk.double() / 255, self.pool).flatten(1) for chunk in chunks])
            mean = pixels.mean(0)
            self._fitted[label] = mean, (pixels - mean) / math.sqrt(len(pixels))
        return self._fitted[label]

    def draw(self, labels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A start image for each of `labels` (n,): float (n, C, H, W), clamped to [0, 1]."""
        channels, height, width = self.images.shape
        shape = (channels, height // self.pool, width // self.pool)
        seeds = []
        for label, generator in zip(labels.tolist(), generators, strict=True):
            mean, factor = self._fit(label)
            z = torch.randn(len(factor), generator=generator, dtype=torch.float64)
            e = torch.randn(len(mean), generator=generator, dtype=torch.float64)
            seeds.append((mean + z @ factor + 0.01 * e).view(shape))
        drawn = torch.stack(seeds).clamp(0, 1).float()
        return block_upsample(drawn, self.pool).to(labels.device)
