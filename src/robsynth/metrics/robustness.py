"""Attacks by name, and which images a classifier still recognises under them.

`pgd20` is 20 steps of PGD from a random point of the ball, `pgd100x5` 100 steps from each of five; an image counts as
recognised only if it is after every one. `autoattack` is the standard ensemble of Croce and Hein (2020).
"""

import importlib.util
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robsynth import processes
from robsynth.ascent import constraint, frozen
from robsynth.ascent.attack import attack
from robsynth.classifiers import AnyClassifier
from robsynth.config import ATTACK
from robsynth.data import ImageSet
from robsynth.data.images import chunks_of
from robsynth.errors import RequestError
from robsynth.files import read_json, write_text
from robsynth.machine import arithmetic
from robsynth.progress import track
from robsynth.randomness import generator

PACKAGE = "pyautoattack"
# Fewer classes than this have no targeted DLR loss (it looks at the four greatest logits).
DLR_CLASSES = 4
TARGETS = 9
# How far outside the ball rounding may put an image, relative to eps.
SLACK = 1e-4
# APGD-CE, APGD-T, FAB-T (which looks at each step's result) and Square.
AUTOATTACK_PASSES = 100 * 2 + TARGETS * 100 * 2 + TARGETS * 100 * 3 + 5000


@dataclass(frozen=True)
class Ball:
    """Where an attack may go; `eps` in pixels of [0, 1]."""

    norm: str
    eps: float


@dataclass(frozen=True)
class Attack:
    """One of the attacks that `metrics.attacks` can name; `steps` and `restarts` are PGD's."""

    name: str
    steps: int = 0
    restarts: int = 1

    @property
    def is_autoattack(self) -> bool:
        return self.name == "autoattack"

    @property
    def passes(self) -> int:
        """Passes there and back that an image takes which is never lost."""
        return AUTOATTACK_PASSES if self.is_autoattack else self.restarts * (2 * self.steps + 2) + 1

    def describe(self, norm: str, classes: int) -> dict[str, Any]:
        """What a protocol says of it, whatever the radius."""
        if self.is_autoattack:
            members = ", ".join(MEMBERS[name] for name in members_for(classes))
            return {"norm": norm, "attack": f"AutoAttack: {members}", "library": f"{PACKAGE} {version(PACKAGE)}"}
        return {
            "norm": norm,
            "attack": f"{self.steps}-step PGD, random start, best iterate",
            "restarts": self.restarts,
            "step size": f"2.5 eps / {self.steps}",
        }


# The members of AutoAttack's standard version, in their order.
MEMBERS = {
    "apgd-ce": "APGD-CE (100 steps)",
    "apgd-t": f"APGD-T (100 steps, up to {TARGETS} targets)",
    "fab-t": f"FAB-T (100 steps, up to {TARGETS} targets)",
    "square": "Square (5,000 queries)",
}


def members_for(classes: int) -> list[str]:
    """The members of AutoAttack that are defined for so many classes."""
    return [name for name in MEMBERS if name != "apgd-t" or classes >= DLR_CLASSES]


def parse_attack(name: str) -> Attack:
    """The attack of a name that the configuration has let through."""
    found = ATTACK.fullmatch(name)
    assert found is not None
    return Attack(name, int(found["steps"] or 0), int(found["restarts"] or 1))


def open_attacks(names: list[str]) -> list[Attack]:
    """The attacks of these names, each once.

    Raises
    ------
    RequestError
        If the library of one is not here.
    """
    if "autoattack" in names and importlib.util.find_spec(PACKAGE) is None:
        raise RequestError(
            "metrics.attacks: autoattack needs a library that is not here (pip install 'robsynth[attacks]'); "
            "allowed without it: pgdSTEPS, pgdSTEPSxRESTARTS"
        )
    return [parse_attack(name) for name in dict.fromkeys(names)]


@dataclass(frozen=True)
class Outcome:
    """Which images are given to their class, bool (n,), and what the attack found odd."""

    right: Tensor
    warnings: list[str]

    @property
    def share(self) -> float:
        return int(self.right.sum()) / len(self.right)


def recognised(network: AnyClassifier, images: ImageSet) -> Outcome:
    """The images that the network gives to their class, computed where it lies, in IEEE float32."""
    chunks, right = chunks_of(images), torch.zeros(len(images))
    with frozen(network), arithmetic("fp32", network.device):
        for place in processes.mine(range(len(chunks))):
            x, y = (part.to(network.device) for part in images.take(chunks[place]))
            right[chunks[place]] = 1 - _misses(network, x, y).float()
    return Outcome(processes.total(right).bool(), [])


def withstood(network: AnyClassifier, images: ImageSet, attack: Attack, ball: Ball, seed: int, kept: Path) -> Outcome:
    """The images that the network gives to their class under an attack, computed as by `recognised`.

    It never has more of them than `recognised`, nor with more restarts than with fewer. Image i of PGD depends on
    (seed, i), chunk k of AutoAttack on (seed, k). What is done of it lies in the directory `kept`, and is not done
    again. The processes of a run share the chunks.
    """
    attacked: Callable[..., Outcome] = _autoattack if attack.is_autoattack else _pgd
    chunks = chunks_of(images)
    paths = [kept / f"{place:05}.json" for place in range(len(chunks))]
    with frozen(network), arithmetic("fp32", network.device):
        for place in track(processes.mine(range(len(chunks))), f"{attack.name} {ball.norm} {ball.eps:g}"):
            if not paths[place].exists():
                x, y = (part.to(network.device) for part in images.take(chunks[place]))
                _keep(paths[place], attacked(network, x, y, chunks[place], attack, ball, seed))
    processes.barrier()
    found = [_kept(path) for path in paths]
    right = torch.cat([outcome.right for outcome in found])
    return Outcome(right, list(dict.fromkeys(line for outcome in found for line in outcome.warnings)))


def _keep(path: Path, outcome: Outcome) -> None:
    write_text(path, json.dumps({"right": outcome.right.int().tolist(), "warnings": outcome.warnings}) + "\n")


def _kept(path: Path) -> Outcome:
    found = read_json(path)
    return Outcome(torch.tensor(found["right"], dtype=torch.bool), found["warnings"])


@torch.no_grad()
def _misses(network: AnyClassifier, images: Tensor, labels: Tensor) -> Tensor:
    """Which images are given to another class: bool (n,) on the CPU."""
    return (network(images).argmax(1) != labels).cpu()


def _pgd(
    network: AnyClassifier, images: Tensor, labels: Tensor, numbers: Tensor, asked: Attack, ball: Ball, seed: int
) -> Outcome:
    allowed, step_size = constraint(ball.norm, ball.eps), 2.5 * ball.eps / asked.steps
    lost = _misses(network, images, labels)
    for restart in range(asked.restarts):
        # An image that is lost already need not be lost again.
        left = (~lost).nonzero()[:, 0]
        if not len(left):
            break
        x, y = images[left], labels[left]
        noise = [generator(seed, "evaluation attack", restart, int(numbers[i])) for i in left]
        moved = attack(network, x, y, allowed, asked.steps, step_size, keep="best", generator=noise)
        lost[left] = _misses(network, moved, y)
    return Outcome(~lost, [])


def _autoattack(
    network: AnyClassifier, images: Tensor, labels: Tensor, numbers: Tensor, asked: Attack, ball: Ball, seed: int
) -> Outcome:
    from pyautoattack import AutoAttack

    # The library has one seed for all its draws, which it makes from the global generator.
    first = generator(seed, "evaluation attack", asked.name, int(numbers[0])).initial_seed() % 2**31
    norm = {"l2": "L2", "linf": "Linf"}[ball.norm]
    with torch.random.fork_rng(), _warnings("auto-attack") as said:
        ensemble = AutoAttack(network, norm=norm, eps=ball.eps, seed=first, device=images.device)
        ensemble.attacks_to_run = members_for(network.classes)
        targets = min(TARGETS, network.classes - 1)
        ensemble.apgd_targeted.n_target_classes = ensemble.fab.n_target_classes = targets
        moved, found = ensemble.run_standard_evaluation(images, labels, batch_size=len(images))
    inside = _distances(moved - images, ball.norm) <= ball.eps * (1 + SLACK)
    return Outcome(((found == labels) | ~inside).cpu(), said)


def _distances(delta: Tensor, norm: str) -> Tensor:
    return delta.flatten(1).norm(dim=1, p=2 if norm == "l2" else torch.inf)


@contextmanager
def _warnings(logger: str) -> Iterator[list[str]]:
    """What a library warns of, instead of on stderr."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(" ".join(record.getMessage().split()))  # type: ignore[method-assign]
    log = logging.getLogger(logger)
    log.addHandler(handler)
    propagates, log.propagate = log.propagate, False
    try:
        yield said
    finally:
        log.removeHandler(handler)
        log.propagate = propagates
