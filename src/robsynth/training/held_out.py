"""Training images that are kept aside, and what they say of a network after each epoch."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from robsynth import processes
from robsynth.ascent.attack import attack
from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary
from robsynth.data import ImageSet
from robsynth.data.images import interleave_classes
from robsynth.errors import RequestError
from robsynth.randomness import generator

ROBUST, CLEAN, TRAINING = "held_out_robust_accuracy", "held_out_accuracy", "held_out_accuracy_under_training_attack"
# PGD that a network which only learned to mislead its own training attack does not withstand.
STEPS = 10
CHUNK = 250
# By how much fewer images may withstand PGD than the training attack; a robust network's two shares are alike.
GAP = 0.2


def hold_out(images: ImageSet, count: int) -> tuple[ImageSet, ImageSet | None]:
    """The images to train on, and `count` that are kept aside, as many of each class as of another.

    The choice depends on the set alone, not on a run's seed: so runs are chosen and compared on the same images.
    """
    if count == 0:
        return images, None
    if 2 * count > len(images):
        raise RequestError(
            f"recipe.held_out: found {count} of {len(images)} training images, allowed: 0 to {len(images) // 2}"
        )
    shuffled = torch.randperm(len(images), generator=generator(0, "held out"))
    order = interleave_classes(images.labels, shuffled)
    aside, rest = order[:count].sort().values, order[count:].sort().values
    return images.subset(rest, f"{images.name} without {count}"), images.subset(
        aside, f"{images.name}, {count} held out"
    )


class HeldOut:
    """Accuracy of a network on held-out images: clean and under PGD, and under the training attack where that is less.

    Catastrophic overfitting (Wong et al., 2020) is when the network withstands the training attack and not PGD.
    """

    def __init__(self, images: ImageSet, adversary: Adversary, seed: int) -> None:
        self.images, self.seed = images, seed
        self.pgd = None if adversary.norm == "none" else check_attack(adversary)
        self.training = replace(adversary, method="pgd", beta=None, replays=None, steps=1, random_start=True)
        self.guards = wants_guard(adversary)

    def look(self, network: AnyClassifier, device: torch.device) -> dict[str, float]:
        """Shares of the images in [0, 1] under stable names; a network that was trained plainly has the clean one."""
        found = {CLEAN: self._share(network, device, None)}
        if self.pgd is not None:
            found[ROBUST] = self._share(network, device, self.pgd)
        if self.guards:
            found[TRAINING] = self._share(network, device, self.training)
        return found

    def _share(self, network: AnyClassifier, device: torch.device, adversary: Adversary | None) -> float:
        modes = network.training
        network.eval()
        right = torch.zeros((), device=device)
        chunks = torch.arange(len(self.images)).split(CHUNK)
        for number in processes.mine(range(len(chunks))):
            x, y = (part.to(device) for part in self.images.take(chunks[number]))
            if adversary is not None:
                # The same points of the ball after every epoch.
                x = attack(network, x, y, adversary, generator(self.seed, "held out", number))
            with torch.no_grad():
                right += (network(x).argmax(1) == y).sum()
        network.train(modes)
        return float(processes.total(right)) / len(self.images)


def check_attack(adversary: Adversary) -> Adversary:
    """PGD in the adversary's ball: 10 steps of a quarter of eps, from a random point, the best iterate."""
    return Adversary(adversary.norm, adversary.eps, STEPS, max(2.5 * adversary.eps / STEPS, 1e-9), random_start=True)


def wants_guard(adversary: Adversary) -> bool:
    """Whether a network may learn to mislead this attack alone; one of several steps is as good as PGD."""
    return adversary.norm != "none" and (adversary.steps == 1 or adversary.method == "free")


def overfitted(row: dict[str, float]) -> bool:
    """Whether an epoch's row says that the network withstands its training attack, and not PGD."""
    return TRAINING in row and row[TRAINING] - row[ROBUST] > GAP


def onsets(rows: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The epochs' rows with which overfitting began, or began again."""
    return [row for before, row in zip([{}, *rows], rows, strict=False) if overfitted(row) and not overfitted(before)]


def score(row: dict[str, float]) -> float | None:
    """What the epoch to keep is chosen by: robust accuracy, of a plainly trained network the clean one."""
    return row.get(ROBUST, row.get(CLEAN))
