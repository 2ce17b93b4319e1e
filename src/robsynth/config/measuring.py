"""What is measured, and where a run is logged."""

import re
from dataclasses import dataclass, field

from robsynth.config.fields import choice, number
from robsynth.errors import RequestError

# What attacks a classifier: so many steps of PGD, from so many random starts; or AutoAttack.
ATTACK = re.compile(r"pgd(?P<steps>[1-9]\d*)(?:x(?P<restarts>[1-9]\d*))?|autoattack")


@dataclass
class Samples:
    count: int = number(least=1)
    batch_size: int = number(least=1)


@dataclass
class Metrics:
    """What is measured: sets of images under `protocols` (names as in metrics/protocols.py), classifiers by `attacks`.

    Beside its clean accuracy a classifier has one under each of `attacks` (names as in metrics/robustness.py) in the
    ball that it was trained for, and along a curve in those of `attack_eps`; without
    attacks there is neither.

    `resamples` is the number of bootstrap resamples of an interval, 0 for none. `plugins` are modules to import that
    register extractors of one's own.
    """

    protocols: list[str] = field(default_factory=list, metadata={"empty": True})
    resamples: int = number(least=0)
    attacks: list[str] = field(default_factory=list, metadata={"empty": True})
    attack_eps: list[float] = field(default_factory=list, metadata={"above": 0, "empty": True})
    # Of how many test images accuracy is measured; of all without a number.
    accuracy_count: int | None = field(default=None, metadata={"least": 1})
    # A file, or "download".
    inception_weights: str | None = None
    plugins: list[str] = field(default_factory=list, metadata={"empty": True})

    def check(self, prefix: str) -> None:
        """Refuse attacks that do not exist."""
        for name in self.attacks:
            if ATTACK.fullmatch(name) is None:
                raise RequestError(
                    f"{prefix}attacks: found {name!r}, allowed: pgdSTEPS, pgdSTEPSxRESTARTS, autoattack "
                    "(accuracy without any is always measured)"
                )


@dataclass
class Curves:
    """Generation along one setting: at each number of steps and at each eps, of `count` images."""

    steps: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    eps: list[float] = field(default_factory=list, metadata={"above": 0, "empty": True})
    count: int = number(least=1)


@dataclass
class Tracker:
    """Where a run is logged besides its record; the rest is W&B's, where "auto" is online if there is an account."""

    name: str = choice("wandb", "tensorboard", "csv", "none")
    project: str = "robsynth"
    group: str | None = None
    mode: str = choice("auto", "offline", "online", default="auto")

    def check(self, prefix: str) -> None:
        """Refuse a server where there is none."""
        if self.mode != "auto" and self.name != "wandb":
            raise RequestError(f"{prefix}mode: found {self.mode}, but only tracker=wandb has a server; allowed: auto")
