"""What images climb: objectives of more than one task."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robsynth.errors import RequestError


def towards(logits: Tensor, labels: Tensor, kind: str = "cross_entropy") -> Tensor:
    """How much (N, K) `logits` speak for `labels` (N,), one value per sample, to be maximised.

    "cross_entropy" is -L(x, y), the paper's; "logit" is the class logit, which has no bound and does not
    care about the other classes.
    """
    if kind == "cross_entropy":
        return -cross_entropy(logits, labels, reduction="none")
    if kind == "logit":
        return logits.gather(1, labels[:, None])[:, 0]
    raise RequestError(f"objective: found {kind!r}, allowed: cross_entropy, logit")


def mean_square(x: Tensor) -> Tensor:
    """The mean of squares over all pixels and channels (not a norm), one value per sample."""
    return x.square().flatten(1).mean(1)


def unit(representation: Tensor, units: Tensor) -> Tensor:
    """R(x)_k: of each row of (N, D) the entry that `units` (N,) names."""
    return torch.gather(representation, 1, units[:, None])[:, 0]
