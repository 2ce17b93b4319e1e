"""Classifiers built by name, and our own checkpoints of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robsynth.classifiers.checkpoints import read_checkpoint, save_checkpoint
from robsynth.classifiers.classifier import Classifier
from robsynth.classifiers.networks import compact, residual
from robsynth.classifiers.resnets import resnet18, resnet18_cifar, resnet50, resnet50_cifar, wide_resnet
from robsynth.config import ARCHITECTURES
from robsynth.errors import RequestError
from robsynth.machine import CPU
from robsynth.randomness import generator

# Called with the number of channels and the settings that it reads; gives features and their number.
Build = Callable[..., tuple[nn.Module, int]]
NETWORKS: dict[str, Build] = {}


def register_network(name: str, build: Build, reads: Sequence[str] = ()) -> None:
    """Let a configuration name a network as its `arch`.

    ``build(channels, **settings)`` gives a module that maps normalised images (N, channels, H, W) to features
    (N, D, h, w) before their last ReLU, and D. `reads` are the settings that it is given, of widths, depth and widen.

    Raises
    ------
    RequestError
        If the name is taken, or no word.
    """
    ARCHITECTURES.provide(name, build, NETWORKS, tuple(reads))


register_network("compact", compact, ["widths"])
register_network("residual", residual, ["widths"])
register_network("resnet18_cifar", resnet18_cifar)
register_network("resnet50_cifar", resnet50_cifar)
register_network("resnet18", resnet18)
register_network("resnet50", resnet50)
register_network("wide_resnet", wide_resnet, ["depth", "widen"])


def build_classifier(
    arch: str, widths: Sequence[int], channels: int, classes: int, mean: Sequence[float], std: Sequence[float],
    seed: int = 0, depth: int | None = None, widen: int | None = None,
) -> Classifier:  # fmt: skip
    """An untrained classifier; the same weights for the same `seed`."""
    if arch not in NETWORKS:
        raise RequestError(f"classifier.arch: found {arch!r}, allowed: {', '.join(NETWORKS)}")
    given = {"widths": widths, "depth": depth, "widen": widen}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "weights", arch).initial_seed())
        features, dimension = NETWORKS[arch](channels, **{key: given[key] for key in ARCHITECTURES[arch]})
        network = Classifier(features, dimension, classes, mean, std)
    return network.to(memory_format=torch.channels_last)


def save_classifier(
    path: Path, network: Classifier, about: dict[str, Any], half: bool = False,
    extra: Mapping[str, Tensor] | None = None,
) -> None:  # fmt: skip
    """`about` holds at least arch and its settings, channels, shape, dataset and label_names.

    `half` and `extra` are `save_checkpoint`'s.
    """
    statistics = {"mean": network.mean.flatten().tolist(), "std": network.std.flatten().tolist()}
    save_checkpoint(path, network, "classifier", {**about, **statistics}, half, extra)


def load_classifier(
    path: str | Path, key: str = "checkpoint", device: torch.device = CPU
) -> tuple[Classifier, dict[str, Any]]:
    """A trained classifier in evaluation mode on a device, and what its checkpoint says about it."""
    kind, tensors, about = read_checkpoint(path, key)
    if kind != "classifier":
        raise RequestError(f"{key}: {path} holds a {kind}, allowed: a classifier")
    try:
        network = build_classifier(
            about["arch"], about.get("widths", ()), about["channels"], len(about["label_names"]), about["mean"],
            about["std"], depth=about.get("depth"), widen=about.get("widen"),
        )  # fmt: skip
        network.load_state_dict(tensors)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise RequestError(f"{key}: {path}: weights and description do not fit ({error})") from None
    return network.to(device).eval(), about
