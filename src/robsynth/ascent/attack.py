"""Adversarial examples: `ascend` with the loss as the objective."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from robsynth.ascent import ascend, constraint, frozen
from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary
from robsynth.randomness import Generators


def attack(network: AnyClassifier, images: Tensor, labels: Tensor, adversary: Adversary, noise: Generators) -> Tensor:
    """max L(f(x), y) over the ball around `images` (n, C, H, W) (Madry et al., 2018).

    `noise`, of which a random start is drawn, is one generator for the batch, or one for each image.
    """

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(network(x), labels, reduction="none")

    with frozen(network):
        return ascend(
            loss,
            images,
            constraint(adversary.norm, adversary.eps),
            adversary.steps,
            adversary.step_size,
            keep="best" if adversary.keep == "best" else "last",
            generator=noise if adversary.random_start else None,
        )
