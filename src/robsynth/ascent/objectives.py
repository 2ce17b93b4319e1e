"""What images climb: objectives of more than one task, in float32 whatever the network computes in."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robsynth.config.registry import OBJECTIVES as NAMES
from robsynth.errors import RequestError

ClassObjective = Callable[[Tensor, Tensor], Tensor]


def in_full(values: Tensor) -> Tensor:
    """Values as float32 where they have fewer bits: two images' often differ by less than a bit of bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def mean_square(x: Tensor) -> Tensor:
    """The mean of squares over all pixels and channels (not a norm), one value per sample."""
    return in_full(x).square().flatten(1).mean(1)


def unit(representation: Tensor, units: Tensor) -> Tensor:
    """R(x)_k: of each row of (N, D) the entry that `units` (N,) names."""
    return in_full(torch.gather(representation, 1, units[:, None])[:, 0])


OBJECTIVES: dict[str, ClassObjective] = {}


def register_objective(name: str, fn: ClassObjective) -> None:
    """Let a configuration name an objective: (N, K) logits, in float32, and labels (N,) to a value for each sample.

    Raises
    ------
    RequestError
        If the name is taken, or no word.
    """
    NAMES.provide(name, fn, OBJECTIVES)


register_objective("cross_entropy", lambda logits, labels: -cross_entropy(logits, labels, reduction="none"))
register_objective("logit", unit)


def towards(logits: Tensor, labels: Tensor, kind: str = "cross_entropy") -> Tensor:
    """How much (N, K) `logits` speak for `labels` (N,), one value per sample, to be maximised.

    "cross_entropy" is -L(x, y), the paper's; "logit" is the class logit, which has no bound and does not
    care about the other classes.
    """
    if kind not in OBJECTIVES:
        raise RequestError(f"objective: found {kind!r}, allowed: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[kind](in_full(logits), labels)
