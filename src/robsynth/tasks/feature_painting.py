"""Painting a unit of the representation into a region (Santurkar et al., 2019, section 3.5)."""

import torch
from torch import Tensor

from robsynth.ascent import mean_square, unit
from robsynth.classifiers import Classifier
from robsynth.config import FeaturePainting
from robsynth.errors import RequestError
from robsynth.tasks.problem import Batch, Problem


def feature_painting(f: Classifier, batch: Batch, s: FeaturePainting) -> Problem:
    """max weight * R(x)_k - penalty * mean[((x0 - x)(1 - m))^2] around the photo x0.

    m is 1 in the region that may change. Without `s.unit`, k is the unit that speaks most for another class.
    """
    x0, m, y = batch.images, batch.squares(s.patch), batch.wanted(batch.other_classes())
    k = f.head.weight[y].argmax(1) if s.unit is None else torch.full_like(y, _checked(s.unit, f))

    def objective(x: Tensor) -> Tensor:
        return s.weight * unit(f.representation(x, fake=True), k) - s.penalty * mean_square((x0 - x) * (1 - m))

    return Problem(start=x0, objective=objective, wanted=y if s.unit is None else batch.labels, mask=m)


def _checked(number: int, f: Classifier) -> int:
    if not 0 <= number < f.head.in_features:
        raise RequestError(
            f"tasks.feature_painting.unit: found {number}, allowed: 0 to {f.head.in_features - 1}, or null"
        )
    return number
