"""What a task is given and what it has to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robsynth.ascent import Objective
from robsynth.classifiers import AnyClassifier
from robsynth.config import TASKS, TaskSettings
from robsynth.tasks.seeds import Seeds


@dataclass(frozen=True)
class Batch:
    """n images to work on, each with a random generator of its own, on the device of the network.

    `images` float (n, C, H, W) in [0, 1] and `labels` (n,) are originals, or what a user gave; `size` is the side
    of the classifier's images; `seeds` draws start images of a class; `masks` (n, 1, H, W) are 1 where an image may
    change, as their user says. Image i gets the same generator whatever else is in the batch.
    """

    images: Tensor
    labels: Tensor
    classes: int
    size: int
    generators: Sequence[torch.Generator]
    seeds: Seeds | None = None
    target: int | None = None
    masks: Tensor | None = None

    def wanted(self, rule: Tensor) -> Tensor:
        """The class each image shall show, (n,): the one asked for, or else what the task's `rule` says."""
        return rule if self.target is None else torch.full_like(rule, self.target)

    def integers(self, high: int) -> Tensor:
        """One integer in [0, high) for each image, (n,)."""
        draws = [torch.randint(high, (1,), generator=g) for g in self.generators]
        return torch.cat(draws).to(self.labels.device)

    def other_classes(self) -> Tensor:
        """A class for each image, (n,), uniform over all but its own."""
        return (self.labels + 1 + self.integers(self.classes - 1)) % self.classes

    def region(self, side: int) -> Tensor:
        """Masks (n, 1, H, W), 1 where an image may change: those given, or a square of `side` pixels.

        The square's corner is uniform for each image.
        """
        if self.masks is not None:
            return self.masks
        height, width = self.images.shape[-2:]
        side = min(side, height, width)
        top, left = self.integers(height - side + 1), self.integers(width - side + 1)
        rows = torch.arange(height, device=top.device) - top[:, None]
        columns = torch.arange(width, device=left.device) - left[:, None]
        inside_rows, inside_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
        return (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(self.images)


@dataclass(frozen=True)
class Problem:
    """The four things a task says, for n images.

    Where the images start, what is maximised, (the set is in the settings, around the start), and what the
    result is compared with: the class it should show and, where there is one, the original.
    """

    start: Tensor
    objective: Objective
    wanted: Tensor
    original: Tensor | None = None
    mask: Tensor | None = None


# A task takes the classifier, a batch and its own settings; the settings' type differs from task to task.
Pose = Callable[[AnyClassifier, Batch, Any], Problem]
POSE: dict[str, Pose] = {}


def register_task(name: str, settings: type[TaskSettings], pose: Pose) -> None:
    """Let a configuration name a task, of which `settings` is the dataclass.

    Raises
    ------
    RequestError
        If the name is taken, or no word.
    """
    TASKS.provide(name, pose, POSE, settings)
