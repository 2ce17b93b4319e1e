"""Runs a task: from image numbers to finished images."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from robsynth import ascent
from robsynth.ascent import Observer, ascend, constraint, frozen
from robsynth.classifiers import AnyClassifier
from robsynth.config import FeaturePainting, TaskSettings
from robsynth.errors import RequestError
from robsynth.files import some
from robsynth.machine import arithmetic, deterministic
from robsynth.randomness import generator, standard_normal
from robsynth.tasks.originals import UNKNOWN, Originals
from robsynth.tasks.problem import POSE, Batch, Problem
from robsynth.tasks.seeds import Seeds


@dataclass(frozen=True)
class Synthesis:
    """A task with everything that decides what its image i looks like, but for rounding.

    It works where `network` lies; what is drawn or read on the CPU is brought there. Images of one batch are the same
    to the bit whenever they are made; in another batch, or on another device, to a grey level.

    Originals are taken in their order, over and over; without any (generation) image i is of class i mod
    classes. `stage_masks` has the masks of each stage of painting that names one.
    """

    name: str
    settings: TaskSettings
    network: AnyClassifier
    label_names: tuple[str, ...]
    shape: tuple[int, int, int]
    seed: int
    precision: str
    originals: Originals | None = None
    seeds: Seeds | None = None
    stage_masks: tuple[Tensor | None, ...] = ()

    def run(self, indices: Tensor, on_step: Observer | None = None) -> tuple[Problem, Tensor]:
        """The problem of the images with these numbers (n,) and its solution, float (n, C, H, W) in [0, 1].

        `on_step` sees each stage's path, as `ascend` has it.
        """
        problems, x = [], None
        with frozen(self.network), deterministic(self.network.device):
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

    def _solve(
        self, problem: Problem, s: TaskSettings, indices: Tensor, stage: int, on_step: Observer | None
    ) -> Tensor:
        start = problem.start
        if s.noise:
            noise = standard_normal(start, [generator(self.seed, "noise", int(i), stage) for i in indices])
            start = (start + s.noise * noise).clamp(0, 1)
        with arithmetic(self.precision, self.network.device):
            return ascend(
                problem.objective,
                start,
                constraint(s.norm, s.eps),
                s.steps,
                s.step_size,
                s.keep,
                on_step=on_step,
                centre=problem.start,
            )

    def pose(
        self, indices: Tensor, settings: TaskSettings | None = None, stage: int = 0, x: Tensor | None = None
    ) -> Problem:
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
        device = self.network.device
        if self.originals is None:
            blank = torch.zeros(len(indices), *self.shape, device=device)
            return blank, (indices % len(self.label_names)).to(device), None
        rows = indices % len(self.originals)
        images, _ = self.originals.images.take(rows)
        images, said = images.to(device), self.originals.labels[rows]
        labels = said.to(device)
        if (said == UNKNOWN).any():
            labels = torch.where(labels == UNKNOWN, self._seen(images), labels)
        masks = self.stage_masks[stage] if stage < len(self.stage_masks) else None
        masks = self.originals.masks if masks is None else masks
        return images, labels, None if masks is None else masks[rows].to(device)

    def _seen(self, images: Tensor) -> Tensor:
        """What the classifier takes images for, where nobody said."""
        with torch.no_grad(), arithmetic(self.precision, self.network.device):
            return self.network(interpolate(images, self.shape[1:])).argmax(1)

    def _number(self, target: str | None) -> int | None:
        if target is not None and target not in self.label_names:
            raise RequestError(f"tasks.{self.name}.target: found {target!r}, allowed: {some(self.label_names)}")
        return None if target is None else self.label_names.index(target)


def stages(settings: TaskSettings) -> list[TaskSettings]:
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


def passes(settings: TaskSettings, count: int) -> int:
    """How often one image goes forward or backward through the classifier until `count` images are made.

    To look at a user's image, where nobody said which class it is of, takes one more.
    """
    return count * sum(ascent.passes(stage.steps, stage.keep) for stage in stages(settings))
