"""Filling a hole in an image (Santurkar et al., 2019, section 3.2)."""

import torch
from torch import Tensor

from robsynth.ascent import mean_square, towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import Inpainting
from robsynth.tasks.problem import Batch, Problem, register_task


def visible_mean(images: Tensor, m: Tensor) -> Tensor:
    """The mean of each channel where m (n, 1, H, W) is 0, or of the whole image where that is nowhere: (n, C, 1, 1)."""
    all_hidden = m.amin((2, 3), keepdim=True) == 1
    weight = torch.where(all_hidden, torch.ones_like(m), 1 - m)
    return (images * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True)


def inpainting(f: AnyClassifier, batch: Batch, s: Inpainting) -> Problem:
    """min L(x, y) + penalty * mean[((x_c - x)(1 - m))^2] around x_c, for the true class y.

    m is 1 in the hole; x_c is the image with the hole filled by the mean of each channel. In the paper's setting, a
    hole at a random place, that is the whole image's own mean; under a user's mask may be anything, so there it is the
    mean of what is visible.
    """
    y, m = batch.wanted(batch.labels), batch.region(s.hole)
    mean = batch.images.mean((2, 3), keepdim=True) if batch.masks is None else visible_mean(batch.images, m)
    x_c = batch.images * (1 - m) + mean * m

    def objective(x: Tensor) -> Tensor:
        return towards(f(x, fake=True), y, s.objective) - s.penalty * mean_square((x_c - x) * (1 - m))

    return Problem(start=x_c, objective=objective, wanted=y, original=batch.images, mask=m)


register_task("inpainting", Inpainting, inpainting)
