"""Training images that are kept aside, and what they say of a network after each epoch."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from robsynth import processes
from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary
from robsynth.data import ImageSet
from robsynth.data.images import chunks_of, interleave_classes
from robsynth.errors import RequestError
from robsynth.randomness import generator
from robsynth.training.attacks import attacked, passes

ROBUST, CLEAN, TRAINING = "held_out_robust_accuracy", "held_out_accuracy", "held_out_accuracy_under_training_attack"
# PGD that a network which only learned to mislead its own training attack does not withstand.
STEPS = 10
# By how much fewer images may withstand PGD than the training attack; a robust network's two shares are alike.
GAP = 0.2


def hold_out(images: ImageSet, count: int) -> tuple[ImageSet, ImageSet | None]:
    """The images to train on, and `count` that are kept aside, as many of each class as of another.

    The choice depends on the set alone, not on a run's seed: so runs are chosen and compared on the same images.
    """
    check_count(count, len(images))
    if count == 0:
        return images, None
    shuffled = torch.randperm(len(images), generator=generator(0, "held out"))
    order = interleave_classes(images.labels, shuffled)
    aside, rest = order[:count].sort().values, order[count:].sort().values
    return images.subset(rest, f"{images.name} without {count}"), images.subset(
        aside, f"{images.name}, {count} held out"
    )


def check_count(count: int, images: int) -> None:
    """A RequestError where so many are too many of all training images."""
    if 2 * count > images:
        raise RequestError(f"recipe.held_out: found {count} of {images} training images, allowed: 0 to {images // 2}")


class HeldOut:
    """Accuracy of a network on held-out images: clean and under PGD, and under the training attack where that is less.

    Catastrophic overfitting (Wong et al., 2020) is when the network withstands the training attack and not PGD.
    """

    def __init__(self, images: ImageSet, adversary: Adversary, seed: int) -> None:
        self.images, self.seed, self.checks = images, seed, checks(adversary)

    def look(self, network: AnyClassifier) -> dict[str, float]:
        """Shares of the images in [0, 1] under stable names; a network that was trained plainly has the clean one."""
        return {name: self._share(network, adversary) for name, adversary in self.checks.items()}

    def _share(self, network: AnyClassifier, adversary: Adversary | None) -> float:
        modes = network.training
        network.eval()
        right, chunks = torch.zeros((), device=network.device), chunks_of(self.images)
        for number in processes.mine(range(len(chunks))):
            x, y = (part.to(network.device) for part in self.images.take(chunks[number]))
            if adversary is not None:
                # The same points of the ball after every epoch.
                x = attacked(network, x, y, adversary, generator(self.seed, "held out", number))
            with torch.no_grad():
                right += (network(x).argmax(1) == y).sum()
        network.train(modes)
        return float(processes.total(right)) / len(self.images)


def checks(adversary: Adversary) -> dict[str, Adversary | None]:
    """The attacks under which held-out images are looked at, by the names of their figures; None is no attack."""
    found: dict[str, Adversary | None] = {CLEAN: None}
    if adversary.norm != "none":
        found[ROBUST] = check_attack(adversary)
    if wants_guard(adversary):
        found[TRAINING] = replace(adversary, method="pgd", beta=None, replays=None, steps=1, random_start=True)
    return found


def check_passes(adversary: Adversary) -> int:
    """How often one held-out image goes forward or backward through the network when it is looked at."""
    return sum(1 + (0 if attack is None else passes(attack)) for attack in checks(adversary).values())


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
