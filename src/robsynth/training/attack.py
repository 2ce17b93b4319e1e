"""Adversarial examples and accuracy under attack: `ascend` with the loss as the objective."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robsynth.ascent import ascend, constraint, frozen
from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary
from robsynth.data import ImageSet
from robsynth.randomness import OfBatch, generator


def attack(network: AnyClassifier, images: Tensor, labels: Tensor, adversary: Adversary, noise: OfBatch) -> Tensor:
    """max L(f(x), y) over the ball around `images` (n, C, H, W) (Madry et al., 2018)."""

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


def accuracy(network: AnyClassifier, images: ImageSet, device: torch.device, batch_size: int = 250) -> float:
    """The share of images, in [0, 1], that the network gives to their class."""
    return _accuracy(network, images, device, batch_size, None, 0)


def robust_accuracy(
    network: AnyClassifier,
    images: ImageSet,
    adversary: Adversary,
    device: torch.device,
    seed: int,
    batch_size: int = 250,
) -> float:
    """The share of images, in [0, 1], that the network still gives to their class under the attack."""
    return _accuracy(network, images, device, batch_size, adversary, seed)


def _accuracy(
    network: AnyClassifier, images: ImageSet, device: torch.device, batch_size: int, adversary: Adversary | None,
    seed: int,
) -> float:  # fmt: skip
    network = network.to(device).eval()
    right = 0
    for batch, indices in enumerate(torch.arange(len(images)).split(batch_size)):
        x, y = (part.to(device) for part in images.take(indices))
        if adversary is not None:
            x = attack(network, x, y, adversary, generator(seed, "evaluation attack", batch))
        with torch.no_grad():
            right += int((network(x).argmax(1) == y).sum())
    return right / len(images)
