"""Adversarial examples: `ascend` with the loss as the objective."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robsynth.ascent.ascend import ascend
from robsynth.ascent.constraints import Constraint
from robsynth.ascent.frozen import frozen
from robsynth.randomness import Generators


def attack(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    constraint: Constraint,
    steps: int,
    step_size: float,
    keep: str = "best",
    generator: Generators | None = None,
) -> Tensor:
    """max L(f(x), y) over the constraint's set around `images` (n, C, H, W) (Madry et al., 2018).

    Images and `labels` (n,) lie where the network does. With `generator` the path begins at a random point: one for the
    batch, or one for each image.
    """

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(network(x), labels, reduction="none")

    with frozen(network):
        return ascend(loss, images, constraint, steps, step_size, keep, generator)
