"""Runs a task: from image numbers to finished images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from robsynth.ascent import Observer, ascend, constraint, frozen
from robsynth.classifiers import Classifier
from robsynth.config import Task
from robsynth.data import DataSet
from robsynth.errors import RequestError
from robsynth.machine import autocast
from robsynth.randomness import generator
from robsynth.tasks import POSE, Batch, ClassGaussians, Problem


@dataclass(frozen=True)
class Synthesis:
    """A task with everything that decides what its image i looks like.

    Held-out images are taken in their order, over and over; the seeds are fitted to the training split.
    """

    name: str
    settings: Task
    network: Classifier
    data: DataSet
    seed: int
    device: torch.device
    precision: str

    def pose(self, indices: Tensor) -> Problem:
        """The problem of the images with these numbers (n,)."""
        images, labels = self.data.test.take(indices % len(self.data.test))
        batch = Batch(
            images.to(self.device),
            labels.to(self.device),
            len(self.data.label_names),
            [generator(self.seed, "image", int(i)) for i in indices],
            self._seeds,
            self._target,
        )
        return POSE[self.name](self.network, batch, self.settings)

    @property
    def _target(self) -> int | None:
        target, names = self.settings.target, self.data.label_names
        if target is not None and target not in names:
            raise RequestError(f"tasks.{self.name}.target: found {target!r}, allowed: {', '.join(names)}")
        return None if target is None else names.index(target)

    @property
    def _seeds(self) -> ClassGaussians:
        return _fitted_seeds(self.data, getattr(self.settings, "pool", 1))

    def run(self, indices: Tensor, on_step: Observer | None = None) -> tuple[Problem, Tensor]:
        """The problem of these images and its solution, float (n, C, H, W) in [0, 1]."""
        s = self.settings
        network = self.network.to(self.device)
        with frozen(network), autocast(self.device, self.precision):
            problem = self.pose(indices)
            result = ascend(
                problem.objective,
                problem.start,
                constraint(s.norm, s.eps),
                s.steps,
                s.step_size,
                keep="best" if s.keep == "best" else "last",
                on_step=on_step,
            )
        return problem, result


_seeds_by_data: dict[tuple[str, int], ClassGaussians] = {}


def _fitted_seeds(data: DataSet, pool: int) -> ClassGaussians:
    key = (data.train.fingerprint, pool)
    return _seeds_by_data.setdefault(key, ClassGaussians(data.train, pool))
