"""Runs a task: from image numbers to finished images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from robsynth.ascent import Observer, ascend, constraint, frozen
from robsynth.classifiers import AnyClassifier
from robsynth.config import FeaturePainting, Task
from robsynth.errors import RequestError
from robsynth.machine import autocast
from robsynth.randomness import generator, standard_normal
from robsynth.tasks.feature_painting import feature_painting
from robsynth.tasks.generation import generation
from robsynth.tasks.inpainting import inpainting
from robsynth.tasks.originals import UNKNOWN, Originals
from robsynth.tasks.problem import Batch, Problem
from robsynth.tasks.seeds import Seeds
from robsynth.tasks.sketch_to_image import sketch_to_image
from robsynth.tasks.super_resolution import super_resolution
from robsynth.tasks.translation import translation

# A task takes the classifier, a batch and its own settings; the settings' type differs from task to task.
POSE: dict[str, Callable[[Any, Batch, Any], Problem]] = {
    "generation": generation,
    "inpainting": inpainting,
    "translation": translation,
    "super_resolution": super_resolution,
    "sketch_to_image": sketch_to_image,
    "feature_painting": feature_painting,
}


@dataclass(frozen=True)
class Synthesis:
    """A task with everything that decides what its image i looks like.

    Originals are taken in their order, over and over; without any (generation) image i is of class i mod
    classes. `stage_masks` has the masks of each stage of painting that names one.
    """

    name: str
    settings: Task
    network: AnyClassifier
    label_names: tuple[str, ...]
    shape: tuple[int, int, int]
    seed: int
    device: torch.device
    precision: str
    originals: Originals | None = None
    seeds: Seeds | None = None
    stage_masks: tuple[Tensor | None, ...] = ()

    def run(self, indices: Tensor, on_step: Observer | None = None) -> tuple[Problem, Tensor]:
        """The problem of these images and its solution, float (n, C, H, W) in [0, 1]."""
        network = self.network.to(self.device)
        problems, x = [], None
        with frozen(network), autocast(self.device, self.precision):
            for stage, settings in enumerate(stages(self.settings)):
                problems.append(self.pose(indices, settings, stage, x))
                x = self._solve(problems[-1], settings, indices, stage, on_step)
        assert x is not None
        first, last = problems[0], problems[-1]
        if len(problems) > 1:
            assert first.mask is not None
            painted = torch.stack([problem.mask for problem in problems if problem.mask is not None]).amax(0)
            first = replace(first, wanted=last.wanted, mask=painted)
        return first, x

    def _solve(self, problem: Problem, s: Task, indices: Tensor, stage: int, on_step: Observer | None) -> Tensor:
        start = problem.start
        if s.noise:
            noise = standard_normal(start, [generator(self.seed, "noise", int(i), stage) for i in indices])
            start = (start + s.noise * noise).clamp(0, 1)
        return ascend(
            problem.objective,
            start,
            constraint(s.norm, s.eps),
            s.steps,
            s.step_size,
            keep="best" if s.keep == "best" else "last",
            on_step=on_step,
            centre=problem.start,
        )

    def pose(self, indices: Tensor, settings: Task | None = None, stage: int = 0, x: Tensor | None = None) -> Problem:
        """The problem of the images with these numbers (n,); `x` is what the stage before left of them."""
        settings = stages(self.settings)[0] if settings is None else settings
        images, labels, masks = self._given(indices, stage)
        batch = Batch(
            images if x is None else x,
            labels,
            len(self.label_names),
            self.shape[1],
            [generator(self.seed, "image", int(i), *([stage] if stage else [])) for i in indices],
            self.seeds,
            self._number(settings.target),
            masks,
        )
        return POSE[self.name](self.network, batch, settings)

    def _given(self, indices: Tensor, stage: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images, labels and masks of these numbers."""
        if self.originals is None:
            blank = torch.zeros(len(indices), *self.shape, device=self.device)
            return blank, (indices % len(self.label_names)).to(self.device), None
        rows = indices % len(self.originals)
        images, _ = self.originals.images.take(rows)
        images, labels = images.to(self.device), self.originals.labels[rows].to(self.device)
        if (labels == UNKNOWN).any():
            labels = torch.where(labels == UNKNOWN, self._seen(images), labels)
        masks = self.stage_masks[stage] if stage < len(self.stage_masks) else None
        masks = self.originals.masks if masks is None else masks
        return images, labels, None if masks is None else masks[rows].to(self.device)

    @torch.no_grad()
    def _seen(self, images: Tensor) -> Tensor:
        """What the classifier takes images for, where nobody said."""
        return self.network(interpolate(images, self.shape[1:])).argmax(1)

    def _number(self, target: str | None) -> int | None:
        if target is not None and target not in self.label_names:
            raise RequestError(
                f"tasks.{self.name}.target: found {target!r}, allowed: {', '.join(_some(self.label_names))}"
            )
        return None if target is None else self.label_names.index(target)


def stages(settings: Task) -> list[Task]:
    """The settings of each stage: one, unless feature painting names several."""
    if not isinstance(settings, FeaturePainting) or not settings.stages:
        return [settings]
    return [
        replace(
            settings,
            unit=stage.unit,
            target=stage.target,
            maximise="score" if stage.unit is None and stage.target is not None else settings.maximise,
        )
        for stage in settings.stages
    ]


def _some(names: Sequence[str], most: int = 20) -> list[str]:
    return [*names[:most], *([f"... ({len(names)} in all)"] if len(names) > most else [])]
