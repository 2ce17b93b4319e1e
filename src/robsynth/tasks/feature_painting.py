"""Painting a unit of the representation into a region (Santurkar et al., 2019, section 3.5)."""

import torch
from torch import Tensor

from robsynth.ascent import mean_square, towards, unit
from robsynth.classifiers import AnyClassifier
from robsynth.config import FeaturePainting
from robsynth.errors import RequestError
from robsynth.tasks.problem import Batch, Problem, register_task


def feature_painting(f: AnyClassifier, batch: Batch, s: FeaturePainting) -> Problem:
    """max weight * R(x)_k - penalty * mean[((x0 - x)(1 - m))^2] around the photo x0, or the stage before.

    m is 1 in the region that may change. Without `s.unit`, k is the unit that speaks most for another class;
    with `s.maximise` "score" that class's logit takes the place of R(x)_k.
    """
    x0, m, y = batch.images, batch.region(s.patch), batch.wanted(batch.other_classes())
    k = f.head.weight[y].argmax(1) if s.unit is None else torch.full_like(y, _checked(s.unit, f))

    def painted(x: Tensor) -> Tensor:
        if s.maximise == "score":
            return towards(f(x, fake=True), y, "logit")
        return unit(f.representation(x, fake=True), k)

    def objective(x: Tensor) -> Tensor:
        return s.weight * painted(x) - s.penalty * mean_square((x0 - x) * (1 - m))

    by_class = s.unit is None or s.maximise == "score"
    return Problem(start=x0, objective=objective, wanted=y if by_class else batch.labels, mask=m)


def _checked(number: int, f: AnyClassifier) -> int:
    if not 0 <= number < f.head.in_features:
        raise RequestError(
            f"tasks.feature_painting.unit: found {number}, allowed: 0 to {f.head.in_features - 1}, or null"
        )
    return number


register_task("feature_painting", FeaturePainting, feature_painting)
