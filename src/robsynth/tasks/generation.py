"""Images of a class from noise (Santurkar et al., 2019, section 3.1)."""

from torch import Tensor

from robsynth.ascent import towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import Generation
from robsynth.tasks.problem import Batch, Problem, register_task


def generation(f: AnyClassifier, batch: Batch, s: Generation) -> Problem:
    """min L(x, y) around x0 ~ N(mean_y, covariance_y), for the class y that a batch's label names."""
    y = batch.wanted(batch.labels)
    assert batch.seeds is not None

    def objective(x: Tensor) -> Tensor:
        return towards(f(x), y, s.objective)

    return Problem(start=batch.seeds.draw(y, batch.generators), objective=objective, wanted=y)


register_task("generation", Generation, generation)
