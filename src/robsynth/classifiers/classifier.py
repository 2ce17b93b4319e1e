"""What every task needs of a classifier."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def fake_relu(x: Tensor) -> Tensor:
    """ReLU's value with the identity's gradient.

    Units that are off still pull on the image; Santurkar et al. use it as the last ReLU of their networks
    for inpainting and feature painting.
    """
    return x + (x.relu() - x).detach()


class AnyClassifier(nn.Module, ABC):
    """Images float (N, C, H, W) in [0, 1] to logits (N, classes), with the normalisation inside.

    So a ball's radius is always in pixels of [0, 1]. The logits are the `head` on the `representation`.
    """

    head: nn.Linear

    @property
    def classes(self) -> int:
        return self.head.out_features

    @property
    def device(self) -> torch.device:
        """Where it was opened; whoever works with it brings images there."""
        return self.head.weight.device

    @abstractmethod
    def representation(self, x: Tensor, fake: bool = False) -> Tensor:
        """R(x): the penultimate features (N, D); `fake` replaces the last ReLU by `fake_relu`."""

    def forward(self, x: Tensor, fake: bool = False) -> Tensor:
        return self.head(self.representation(x, fake))


class Classifier(AnyClassifier):
    """A network of ours: `features` maps normalised images to a map (N, D, h, w) before its last ReLU.

    This class applies that one, real or fake, and averages the map.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        features: nn.Module,
        dimension: int,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(dimension, classes)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def representation(self, x: Tensor, fake: bool = False) -> Tensor:
        features = self.features((x - self.mean) / self.std)
        activated = fake_relu(features) if fake else features.relu()
        return activated.mean(dim=(2, 3))
