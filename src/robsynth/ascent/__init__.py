"""The one primitive: projected gradient ascent on a network's input."""

from robsynth.ascent.ascend import Objective, Observer, ascend
from robsynth.ascent.constraints import L2, Constraint, Linf, Unconstrained, constraint
from robsynth.ascent.frozen import frozen
from robsynth.ascent.objectives import mean_square, towards, unit

__all__ = [
    "L2", "Constraint", "Linf", "Objective", "Observer", "Unconstrained", "ascend", "constraint", "frozen",
    "mean_square", "towards", "unit",
]  # fmt: skip
