"""From one class to another (Santurkar et al., 2019, section 3.3)."""

from torch import Tensor

from robsynth.ascent import towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import ClassTask
from robsynth.tasks.problem import Batch, Problem, register_task


def translation(f: AnyClassifier, batch: Batch, s: ClassTask) -> Problem:
    """min L(x, y') around the source image, for a class y' that is not its own."""
    y = batch.wanted(batch.other_classes())

    def objective(x: Tensor) -> Tensor:
        return towards(f(x), y, s.objective)

    return Problem(start=batch.images, objective=objective, wanted=y)


register_task("translation", ClassTask, translation)
