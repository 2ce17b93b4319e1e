"""The network of the rival that makes images: built, kept, read, sampled from."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robsynth.classifiers import read_checkpoint, save_checkpoint
from robsynth.errors import RequestError
from robsynth.machine import CPU
from robsynth.randomness import generator

KIND = "wgan_gp"


class Generator(nn.Module):
    """Latents (N, Z) and labels (N,) to images (N, C, H, W) in [0, 1]; H and W are multiples of 8."""

    def __init__(self, latent: int, width: int, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, _ = shape
        self.latent, self.width, self.start = latent, width, height // 8
        self.embed = nn.Embedding(classes, latent)
        self.expand = nn.Linear(2 * latent, 4 * width * self.start**2)
        self.body = nn.Sequential(
            _up(4 * width, 2 * width),
            _up(2 * width, width),
            _up(width, width),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.Sigmoid(),
        )

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        seed = self.expand(torch.cat([latents, self.embed(labels)], 1))
        return self.body(seed.view(len(seed), 4 * self.width, self.start, self.start))


def _up(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def save_generator(path: Path, network: Generator, about: dict[str, Any]) -> None:
    """`about` holds at least latent, width, shape, dataset and label_names."""
    save_checkpoint(path, network, KIND, about)


def load_generator(path: Path, key: str = "checkpoint", device: torch.device = CPU) -> tuple[Generator, dict[str, Any]]:
    """A trained generator in evaluation mode on a device, and what its checkpoint says about it."""
    kind, tensors, about = read_checkpoint(path, key)
    if kind != KIND:
        raise RequestError(f"{key}: {path} holds a {kind}, allowed: a {KIND} generator")
    channels, height, width = about["shape"]
    network = Generator(about["latent"], about["width"], len(about["label_names"]), (channels, height, width))
    network.load_state_dict(tensors)
    return network.to(device).eval(), about


@torch.no_grad()
def sample(network: Generator, labels: Tensor, indices: Tensor, seed: int) -> Tensor:
    """Image i of each class in `labels` (n,): float (n, C, H, W) in [0, 1] where the network lies.

    It is the same whatever the batch, but for rounding.
    """
    latents = [torch.randn(network.latent, generator=generator(seed, "latent", int(i))) for i in indices]
    return network(torch.stack(latents).to(network.device), labels.to(network.device))
