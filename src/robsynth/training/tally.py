"""Means over an epoch, which a checkpoint within the epoch keeps."""

import math

import torch
from torch import nn

from robsynth.errors import RunError


class NotANumber(RunError):
    """A training diverged at `step` of the optimiser."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(
            f"{what} at step {step}, the last good checkpoint is kept; "
            "try a smaller recipe.learning_rate or adversary.eps (with force=true)"
        )
        self.step = step


class Tally:
    """Sums of named values over the steps of an epoch."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps: dict[str, int] = {}

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._steps[name] = self._steps.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """The means so far; the next epoch begins anew."""
        found = {name: value / self._steps[name] for name, value in self._sums.items()}
        self._sums, self._steps = {}, {}
        return found

    def state(self) -> dict[str, dict[str, float]]:
        return {"sums": dict(self._sums), "steps": dict(self._steps)}

    def load(self, state: dict[str, dict[str, float]]) -> None:
        self._sums = dict(state["sums"])
        self._steps = {name: int(steps) for name, steps in state["steps"].items()}


def finite(loss: float, step: int) -> float:
    """`loss`, or NotANumber where it stopped being one."""
    if not math.isfinite(loss):
        raise NotANumber(f"the loss is {loss}", step)
    return loss


def check_weights(network: nn.Module, step: int) -> None:
    """Raise NotANumber if the step before has left any weight or statistic that is no number."""
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise NotANumber(f"{name} is no number", step)
