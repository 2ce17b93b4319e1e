"""Tiny data sets on disk, in the layouts that the real ones have."""

from pathlib import Path

import numpy as np
from PIL import Image

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SUPERCLASSES = ("dog", "cat", "frog", "turtle", "bird", "primate", "fish", "crab", "insect")


def picture(number: int, size: int = 40) -> Image.Image:
    """A coloured blob on noise; its hue depends on the class that `number` stands for."""
    noise = np.random.default_rng(number)
    pixels = noise.integers(0, 80, (size, size, 3))
    pixels[size // 4 : -size // 4, size // 4 : -size // 4] += np.array([37, 59, 83]) * (number % 100) % 150
    return Image.fromarray(pixels.astype(np.uint8))


def save(folder: Path, label: int, count: int, size: int = 40) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        picture(label + 100 * i, size).save(folder / f"{i:03}.png")


def class_tree(root: Path, names: tuple[str, ...], train: int, test: int, held_out: str = "test") -> Path:
    for label, name in enumerate(names):
        save(root / "train" / name, label, train)
        save(root / held_out / name, label, test)
    return root


def domain_tree(root: Path, train: int, test: int) -> Path:
    for label, side in enumerate("AB"):
        save(root / f"train{side}", label, train)
        save(root / f"test{side}", label, test)
    return root


def all_trees(root: Path) -> Path:
    """Every data set of the experiments, as a directory for ROBSYNTH_DATA."""
    class_tree(root / "cifar10", CIFAR10, 5, 5)
    class_tree(root / "restricted_imagenet", SUPERCLASSES, 6, 4)
    class_tree(root / "cats_vs_dogs", ("cat", "dog"), 25, 12)
    class_tree(root / "imagenet", tuple(f"n{i:08}" for i in range(1000)), 1, 1, "val")
    for name in ("horse2zebra", "apple2orange", "summer2winter_yosemite"):
        domain_tree(root / name, 25, 12)
    return root
