"""Projected gradient ascent, the only optimiser of images in this package."""

from collections.abc import Callable

import torch
from torch import Tensor

from robsynth.ascent.constraints import Constraint
from robsynth.ascent.objectives import in_full
from robsynth.errors import RequestError
from robsynth.randomness import Generators

Objective = Callable[[Tensor], Tensor]
Observer = Callable[[int, Tensor, Tensor], None]
KEEP = ("best", "last")


def ascend(
    objective: Objective,
    start: Tensor,
    constraint: Constraint,
    steps: int,
    step_size: float,
    keep: str = "best",
    generator: Generators | None = None,
    on_step: Observer | None = None,
    centre: Tensor | None = None,
) -> Tensor:
    """Move images uphill on `objective` without leaving the constraint's set around `centre`.

    Every iteration is ``x <- project(step(x, gradient of objective at x))``; the primitive of Santurkar et al.
    (2019), section 2, and of adversarial training (Madry et al., 2018) alike.

    Parameters
    ----------
    objective
        Maps images to one value per sample, shape (N,), to be maximised. Values are compared in float32 at least,
        whatever they were computed in.
    start
        Images (N, C, H, W) in [0, 1]; not modified.
    constraint
        The allowed set and its step.
    steps
        Number of iterations; 0 returns the start.
    step_size
        Length of a step, in the constraint's norm (pixels of [0, 1]).
    keep
        "best": per sample the iterate of the greatest objective, the start among them (one more forward
        pass, after the last step). "last": the last iterate.
    generator
        If given, the path begins at a random point of the set, not at the start: one generator for the
        batch, or one for each sample.
    on_step
        Called as ``on_step(i, x, values)`` before step i with the iterate and its objective, and with
        ``keep="best"`` once more, with i = steps, after the last. Both lie where they were computed, and are held by
        nobody else: whoever keeps a path keeps copies on the CPU.
    centre
        The set's centre; the start unless given.

    Returns
    -------
    Tensor
        Images (N, C, H, W) in the set, without a graph.

    Raises
    ------
    RequestError
        For another `keep`.
    """
    if keep not in KEEP:
        raise RequestError(f"keep: found {keep!r}, allowed: {', '.join(KEEP)}")
    start = start.detach()
    centre = start if centre is None else centre
    x = start if generator is None else constraint.random(centre, generator)
    best_x, best = x, None

    for i in range(steps + (keep == "best")):
        moving = i < steps
        with torch.set_grad_enabled(moving):
            x = x.detach().requires_grad_(moving)
            values = in_full(objective(x))
            if moving:
                # Samples do not interact, so the gradient of the sum holds each sample's own gradient. (The
                # authors' library takes the mean; a step's length then depends, in the tenth digit and only
                # there, on how many samples share the batch.)
                (gradient,) = torch.autograd.grad(values.sum(), x)
        x, values = x.detach(), values.detach()
        if on_step is not None:
            on_step(i, x, values)
        if keep == "best":
            best_x, best = _better(best_x, best, x, values)
        if moving:
            x = constraint.project(constraint.step(x, gradient, step_size), centre).detach()
    return best_x if keep == "best" else x


def passes(steps: int, keep: str) -> int:
    """How often `ascend` goes forward or backward through its objective."""
    return 2 * steps + (keep == "best")


def _better(best_x: Tensor, best: Tensor | None, x: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if best is None:
        return x, values
    wins = values > best
    return torch.where(wins.view(-1, *[1] * (x.dim() - 1)), x, best_x), torch.where(wins, values, best)
