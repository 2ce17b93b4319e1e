"""Filling a hole in an image (Santurkar et al., 2019, section 3.2)."""

from torch import Tensor

from robsynth.ascent import mean_square, towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import Inpainting
from robsynth.tasks.problem import Batch, Problem


def inpainting(f: AnyClassifier, batch: Batch, s: Inpainting) -> Problem:
    """min L(x, y) + penalty * mean[((x_c - x)(1 - m))^2] around x_c, for the true class y.

    m is 1 in the hole; x_c is the image with the hole filled by the image's own mean of each channel.
    """
    y, m = batch.wanted(batch.labels), batch.region(s.hole)
    x_c = batch.images * (1 - m) + batch.images.mean((2, 3), keepdim=True) * m

    def objective(x: Tensor) -> Tensor:
        return towards(f(x, fake=True), y, s.objective) - s.penalty * mean_square((x_c - x) * (1 - m))

    return Problem(start=x_c, objective=objective, wanted=y, original=batch.images, mask=m)
