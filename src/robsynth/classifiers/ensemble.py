"""Several classifiers that vote."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robsynth.classifiers.classifier import AnyClassifier
from robsynth.errors import RequestError


class Ensemble(AnyClassifier):
    """The mean of the logits of `networks`; representation and head are the first's.

    Raises
    ------
    RequestError
        If they differ in the number of classes, or were opened on several devices.
    """

    def __init__(self, networks: Sequence[AnyClassifier]) -> None:
        super().__init__()
        if len(counts := {network.classes for network in networks}) != 1:
            raise RequestError(f"ensemble: found networks of {sorted(counts)} classes, allowed: one number for all")
        if len(devices := {str(network.device) for network in networks}) != 1:
            raise RequestError(f"ensemble: found networks on {' and '.join(sorted(devices))}, allowed: one device")
        self.networks = nn.ModuleList(networks)
        self.first = networks[0]
        self.head = self.first.head

    def representation(self, x: Tensor, fake: bool = False) -> Tensor:
        return self.first.representation(x, fake)

    def forward(self, x: Tensor, fake: bool = False) -> Tensor:
        return torch.stack([network(x, fake) for network in self.networks]).mean(0)
