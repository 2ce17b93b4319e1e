"""What turns images into features."""

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robsynth.files import digest
from robsynth.machine import arithmetic

# Changes when the same weights would give other features than before.
VERSION = 2
# What a GPU wants to be given at once, where a CPU wants what fits its cache.
GPU_BATCH = 100


class Extractor(ABC):
    """uint8 images (n, H, W, C) to features float32 (n, D), and to logits (n, K) where it is a classifier.

    `name` is what protocols call it, `digest` changes with all that decides its output: weights, layer, resize,
    precision, code. Images go through in batches of one size, the last filled up, so that no figure depends on
    how many there are.
    """

    name: str
    precision: str = "fp32"
    has_logits: bool = False
    why_no_logits: str | None = None
    """If there are no logits: why, and how they can be had."""
    dimensions: int
    device: torch.device
    batch: int = 10
    channels: int = 3

    @property
    def digest(self) -> str:
        about = {key: value for key, value in self.describe().items() if key != "source"}
        return digest([VERSION, self.name, about])

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What a protocol's details say: extractor, weights with their digest, layer, resize, precision.

        All of it goes into the digest, but for "source": the same weights may come from several places.
        """

    @abstractmethod
    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features (n, D), and perhaps logits, of uint8 (n, C, H, W)."""

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Under "features" float32 (n, D), and "logits" (n, K) where there are any."""
        size = self.batch if self.device.type == "cpu" else max(self.batch, GPU_BATCH)
        # Weights and activations in bf16 say so themselves.
        with arithmetic("tf32" if self.precision == "tf32" else "fp32", self.device):
            rows = [self._batch(images[first : first + size], size) for first in range(0, len(images), size)]
        names = ("features", "logits") if self.has_logits else ("features",)
        return {name: np.concatenate([row[place] for row in rows]) for place, name in enumerate(names)}

    def _batch(self, images: np.ndarray, size: int) -> list[np.ndarray]:
        count = len(images)
        filled = np.concatenate([images, np.repeat(images[-1:], size - count, 0)])
        x = torch.from_numpy(filled).permute(0, 3, 1, 2).to(self.device)
        if x.shape[1] == 1:
            x = x.expand(-1, self.channels, -1, -1)
        return [output[:count].float().cpu().numpy() for output in self.outputs(x)]


def state_digest(module: nn.Module) -> str:
    """A digest of a network's weights."""
    content = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        # As bytes, because NumPy has no bfloat16.
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


def fold(module: nn.Module, conv: str, norm: str) -> None:
    """Make one layer of a convolution and the batch norm after it, both in evaluation mode."""
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, nn.Identity())


def in_bf16(network: nn.Module, first: nn.Module) -> None:
    """Weights and activations in bf16; what comes before the `first` layer stays in float32."""
    network.to(torch.bfloat16)
    first.register_forward_pre_hook(
        lambda _, inputs: (inputs[0].to(torch.bfloat16, memory_format=torch.channels_last),)
    )
