"""Classifiers: networks with their normalisation inside, built by name or from a checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from robsynth.classifiers.checkpoints import read_checkpoint, save_checkpoint
from robsynth.classifiers.classifier import Classifier
from robsynth.classifiers.networks import NETWORKS
from robsynth.errors import RequestError
from robsynth.randomness import generator


def build_classifier(
    arch: str, widths: Sequence[int], channels: int, classes: int, mean: Sequence[float], std: Sequence[float],
    seed: int = 0,
) -> Classifier:  # fmt: skip
    """An untrained classifier; the same weights for the same `seed`."""
    if arch not in NETWORKS:
        raise RequestError(f"classifier.arch: found {arch!r}, allowed: {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "weights", arch).initial_seed())
        network = Classifier(NETWORKS[arch](channels, widths), widths[-1], classes, mean, std)
    return network.to(memory_format=torch.channels_last)


def save_classifier(path: Path, network: Classifier, about: dict[str, Any]) -> None:
    """`about` holds at least arch, widths, channels, dataset and label_names."""
    statistics = {"mean": network.mean.flatten().tolist(), "std": network.std.flatten().tolist()}
    save_checkpoint(path, network, "classifier", {**about, **statistics})


def load_classifier(path: str | Path, key: str = "checkpoint") -> tuple[Classifier, dict[str, Any]]:
    """A trained classifier in evaluation mode, and what its checkpoint says about it."""
    kind, tensors, about = read_checkpoint(path, key)
    if kind != "classifier":
        raise RequestError(f"{key}: {path} holds a {kind}, allowed: a classifier")
    network = build_classifier(
        about["arch"],
        about["widths"],
        about["channels"],
        len(about["label_names"]),
        about["mean"],
        about["std"],
    )
    network.load_state_dict(tensors)
    return network.eval(), about


__all__ = [
    "NETWORKS", "Classifier", "build_classifier", "load_classifier", "read_checkpoint", "save_checkpoint",
    "save_classifier",
]  # fmt: skip
