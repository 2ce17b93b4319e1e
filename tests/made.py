"""Small things that tests make: descriptions, settings, figures and records."""

import re

from torch import Tensor, nn

from robsynth.baselines.wgan_gp import GanTraining
from robsynth.classifiers import Classifier
from robsynth.config import Adversary, Augmentation, Baseline, Recipe
from robsynth.records.record import Record

ABOUT = {
    "arch": "compact", "widths": [4, 8, 8, 16], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
    "label_names": list("0123456789"),
}  # fmt: skip
PGD = Adversary("l2", eps=1.0, steps=3, step_size=0.4, random_start=True)
RECIPE = Recipe(
    epochs=3, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=5e-4, schedule="one_cycle",
    augment=Augmentation(shift=2, flip=True, jitter=0.2, rotation=5, lighting=0),
)  # fmt: skip
GAN = Baseline("wgan_gp", 3, 16, critic_steps=2, latent=8, width=8, learning_rate=1e-3, penalty=10, ema=0.9)

# An extractor that costs nothing, as a user writes one.
POOLED = """\
import torch
from robsynth.metrics.extractors import register_extractor

class Pooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(255.0))

    def forward(self, x):
        small = torch.nn.functional.adaptive_avg_pool2d(x.float() / self.scale, 4).flatten(1)
        return small, small[:, :10]

register_extractor("pooled", lambda device: Pooled().to(device))
"""


def gan() -> GanTraining:
    return GanTraining(GAN, 10, (1, 32, 32), seed=3)


def counted_passes(network: Classifier) -> list[int]:
    """One number that grows with every image that goes forward through the network or back, twice if for weights too.

    Counted where its representation leaves it, which every task and every loss asks for.
    """
    counted = [0]

    def forward(module: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        ways_back = 2 if network.head.weight.requires_grad else 1

        def backward(gradient: Tensor) -> None:
            counted[0] += ways_back * len(gradient)

        counted[0] += len(found)
        if found.requires_grad:
            found.register_hook(backward)

    network.features.register_forward_hook(forward)
    return counted


def record_of(figures, **more) -> Record:
    """A record that has these figures, and little else."""
    protocols = {figure["protocol"]: {} for figure in figures}
    machine = {"processor": "a processor", "threads": 1, "precision": "fp32"}
    data = {"name": "some", "source": "made up", "fingerprint": "f00"}
    rest = {"seed": 0, "commit": None, "versions": {}, "machine": machine, "config": {}, "data": data, "stages": []}
    return Record("r", "reproduce", None, None, "", "", **{**rest, "figures": figures, "protocols": protocols, **more})


def figure(subject, metric, value, protocol, **more):
    return {"subject": subject, "metric": metric, "value": value, "protocol": protocol, **more}


def texts(table):
    return [[str(cell) for cell in row] for row in table.rows]


def without_pictures(page: str) -> str:
    """The page but for its embedded PNGs, whose bytes depend on the version of the plotting library."""
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", page)
