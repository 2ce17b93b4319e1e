"""Where an image may go: a step along the gradient and the way back into the allowed set.

Images are (N, C, H, W) in [0, 1]; every quantity is per sample, so a sample's path does not depend on what
else is in its batch. The formulas are those of Santurkar et al. (2019) as their library applies them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from robsynth.config.registry import NORMS
from robsynth.errors import RequestError
from robsynth.randomness import Generators, standard_normal, uniform


class Constraint(Protocol):
    """A set around a centre, with the step that belongs to its norm."""

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        """`x` moved by `step_size` uphill."""
        ...

    def project(self, x: Tensor, centre: Tensor) -> Tensor:
        """The point of the set that stands for `x`; idempotent up to rounding."""
        ...

    def random(self, centre: Tensor, generator: Generators) -> Tensor:
        """A random point of the set."""
        ...


def _norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.dim() - 1))


@dataclass(frozen=True)
class L2:
    """All images within Euclidean distance `eps` (in units of [0, 1] pixels, over C*H*W) of the centre."""

    eps: float

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x + step_size * gradient / (_norm(gradient) + 1e-10)

    def project(self, x: Tensor, centre: Tensor) -> Tensor:
        # Ball first, box second: the clamp only ever shortens the way to a centre inside the box.
        return (centre + (x - centre).renorm(p=2, dim=0, maxnorm=self.eps)).clamp(0, 1)

    def random(self, centre: Tensor, generator: Generators) -> Tensor:
        direction = standard_normal(centre, generator)
        return (centre + self.eps * direction / _norm(direction)).clamp(0, 1)


@dataclass(frozen=True)
class Linf:
    """All images of which no value differs by more than `eps` from the centre's."""

    eps: float

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x + step_size * gradient.sign()

    def project(self, x: Tensor, centre: Tensor) -> Tensor:
        return (centre + (x - centre).clamp(-self.eps, self.eps)).clamp(0, 1)

    def random(self, centre: Tensor, generator: Generators) -> Tensor:
        return (centre + self.eps * (2 * uniform(centre, generator) - 1)).clamp(0, 1)


@dataclass(frozen=True)
class Unconstrained:
    """The box [0, 1] alone, with the plain gradient as the step."""

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x + step_size * gradient

    def project(self, x: Tensor, centre: Tensor) -> Tensor:
        return x.clamp(0, 1)

    def random(self, centre: Tensor, generator: Generators) -> Tensor:
        return uniform(centre, generator)


CONSTRAINTS: dict[str, Callable[[float], Constraint]] = {}


def register_constraint(name: str, make: Callable[[float], Constraint]) -> None:
    """Let a configuration name a constraint as its `norm`; `make` makes it of `eps`.

    Raises
    ------
    RequestError
        If the name is taken, or no word.
    """
    NORMS.provide(name, make, CONSTRAINTS)


register_constraint("l2", L2)
register_constraint("linf", Linf)
register_constraint("none", lambda eps: Unconstrained())


def constraint(norm: str, eps: float) -> Constraint:
    """The constraint that a configuration names."""
    if norm not in CONSTRAINTS:
        raise RequestError(f"norm: found {norm!r}, allowed: {', '.join(CONSTRAINTS)}")
    return CONSTRAINTS[norm](eps)
