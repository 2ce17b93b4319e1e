"""Stage that measures classifiers: clean, under attacks, and along a curve of radii."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary, Metrics
from robsynth.data import DataSet, ImageSet
from robsynth.errors import RequestError
from robsynth.metrics.protocols import SEED
from robsynth.metrics.robustness import Attack, Ball, Outcome, open_attacks, recognised, withstood
from robsynth.metrics.uncertainty import bootstrap_interval
from robsynth.records.figures import Figure, Protocol


@dataclass(frozen=True)
class Threat:
    """What a classifier is measured against: balls of one norm, those of which a figure is quoted, and a curve's."""

    norm: str
    quoted: tuple[float, ...]
    curve: tuple[float, ...]

    @property
    def radii(self) -> list[float]:
        """All of them, each once."""
        return list(dict.fromkeys((*self.quoted, *self.curve)))


def trained_for(adversary: Adversary, metrics: Metrics) -> Threat:
    """The ball of the training, and the curve that the settings ask for; L2 where there was no adversary."""
    norm = "l2" if adversary.norm == "none" else adversary.norm
    return Threat(norm, (adversary.eps,), tuple(sorted(set(metrics.attack_eps))))


def named_threat(norm: str | None, metrics: Metrics, about: dict[str, Any]) -> Threat:
    """The balls that the settings name, or else the one that the classifier's checkpoint says it was trained for.

    Several radii are a curve, too.

    Raises
    ------
    RequestError
        If attacks are asked for, and neither says where they may go.
    """
    trained = about.get("adversary") or {"norm": "none", "eps": 0}
    norm = norm or (None if trained["norm"] == "none" else trained["norm"])
    known = (trained["eps"],) if trained["norm"] == norm else ()
    radii = tuple(sorted(set(metrics.attack_eps))) or known
    if metrics.attacks and norm is None:
        raise RequestError("norm: none given, and the classifier names no adversary; allowed: l2, linf")
    if metrics.attacks and not radii:
        raise RequestError(f"metrics.attack_eps: none given, and the classifier was not trained for {norm}; allowed: "
                           "radii in pixels of [0, 1]")  # fmt: skip
    return Threat(norm or "l2", radii, radii if len(radii) > 1 else ())


def measure_accuracy(
    subject: str, network: AnyClassifier, data: DataSet, threat: Threat, settings: Metrics, seed: int, kept: Path
) -> tuple[list[Figure], list[str]]:
    """Accuracies on the test split, and what the attacks found odd; `kept` is `withstood`'s.

    They are computed where the network lies, in IEEE float32.
    """
    return Accuracies(subject, network, data, threat, settings, seed, kept).figures()


def accuracy_passes(settings: Metrics, threat: Threat, images: int) -> int:
    """Forward and backward passes of single images that `measure_accuracy` takes at most of so many test images."""
    attacked = min(images, settings.accuracy_count or images)
    of_image = 1 + len(threat.radii) * sum(attack.passes for attack in open_attacks(settings.attacks))
    return attacked * of_image


@dataclass
class Accuracies:
    """The accuracies of one classifier on the first test images."""

    subject: str
    network: AnyClassifier
    data: DataSet
    threat: Threat
    settings: Metrics
    seed: int
    kept: Path

    def figures(self) -> tuple[list[Figure], list[str]]:
        """Clean and quoted accuracies, then the points of the curve, which begins at the clean one."""
        attacks = open_attacks(self.settings.attacks)
        clean = recognised(self.network, self.images)
        figures = [self._figure("clean_accuracy", clean.right, Protocol(f"clean-{self._split}", self._about))]
        warnings: list[str] = []
        for attack in attacks:
            found = {eps: self._under(attack, eps) for eps in self.threat.radii}
            for eps, outcome in found.items():
                warnings += [f"{self.subject}, {attack.name}, eps {eps:g}: {line}" for line in outcome.warnings]
            for eps in self.threat.quoted:
                figures.append(self._figure("robust_accuracy", found[eps].right, self._protocol(attack, eps)))
            if self.threat.curve:
                figures.append(self._point(attack, 0, clean.right))
                figures += [self._point(attack, eps, found[eps].right) for eps in self.threat.curve]
        return figures, warnings

    @cached_property
    def images(self) -> ImageSet:
        test, count = self.data.test, self.settings.accuracy_count
        return test if count is None or count >= len(test) else test.head(count)

    def _under(self, attack: Attack, eps: float) -> Outcome:
        ball = Ball(self.threat.norm, eps)
        directory = self.kept / f"{attack.name}-{ball.norm}-{eps:g}"
        return withstood(self.network, self.images, attack, ball, self.seed, directory)

    @property
    def _split(self) -> str:
        test = self.data.test
        return test.name.replace("/", "_") + ("" if len(self.images) == len(test) else str(len(self.images)))

    @property
    def _about(self) -> dict[str, Any]:
        test, count = self.data.test, len(self.images)
        which = f"all {count}" if count == len(test) else f"the first {count} of {len(test)}"
        return {"images": f"{test.name}, {which}, {test.fingerprint}"}

    def _protocol(self, attack: Attack, eps: float | None = None) -> Protocol:
        """An attack's; without `eps` that of a curve, whose points say theirs."""
        described = attack.describe(self.threat.norm, self.network.classes)
        radius = {"eps": "each point's" if eps is None else eps}
        parts = [attack.name, self.threat.norm, *([] if eps is None else [f"{eps:g}"]), self._split]
        return Protocol("-".join(parts), {**self._about, **radius, **described, "seed": self.seed})

    def _point(self, attack: Attack, eps: float, right: Tensor) -> Figure:
        return self._figure("robust_accuracy", right, self._protocol(attack), {"eps": eps})

    def _figure(self, metric: str, right: Tensor, protocol: Protocol, at: dict[str, float] | None = None) -> Figure:
        values, resamples = right.numpy().astype(np.float64), self.settings.resamples
        interval = bootstrap_interval(values, resamples, SEED) if resamples else None
        return Figure(self.subject, metric, float(values.mean()), protocol, len(values), interval=interval, at=at)


def check_classes(about: dict[str, Any], data: DataSet, key: str = "dataset") -> None:
    """Refuse to measure a classifier on data of other classes or another size."""
    if tuple(about["label_names"]) != data.label_names or tuple(about["shape"]) != data.shape:
        raise RequestError(
            f"{key}: {data.name} has {len(data.label_names)} classes of images {list(data.shape)}, allowed: as the "
            f"classifier, {len(about['label_names'])} of {list(about['shape'])} (trained on {about['dataset']})"
        )
