"""The one primitive: projected gradient ascent on a network's input."""

from robsynth.ascent.ascend import KEEP, Objective, Observer, ascend, passes
from robsynth.ascent.constraints import L2, Constraint, Linf, Unconstrained, constraint, register_constraint
from robsynth.ascent.frozen import frozen
from robsynth.ascent.objectives import in_full, mean_square, register_objective, towards, unit

__all__ = [
    "KEEP", "L2", "Constraint", "Linf", "Objective", "Observer", "Unconstrained", "ascend", "constraint", "frozen",
    "in_full", "mean_square", "passes", "register_constraint", "register_objective", "towards", "unit",
]  # fmt: skip
