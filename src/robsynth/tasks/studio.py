"""A classifier with what its tasks start from: a data set's images or a user's own, masks, seeds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robsynth.classifiers import AnyClassifier, Ensemble, is_safetensors
from robsynth.config import FeaturePainting, Generation, SketchToImage, SuperResolution, TaskSettings
from robsynth.data import DataSet, ImageSet
from robsynth.errors import RequestError
from robsynth.tasks.bundle import bundled_seeds
from robsynth.tasks.originals import Originals, from_data_set, from_folder, read_masks, user_files
from robsynth.tasks.seeds import ClassGaussians, Seeds
from robsynth.tasks.synthesis import Synthesis, stages


@dataclass
class Studio:
    """Makes tasks ready; data is loaded when a task needs it, and not before.

    `network` is what moves images: a classifier, or an ensemble that begins with it. `about` is what the classifier's
    checkpoint says, `checkpoint` that file where there is one. `load`
    gives the data set, whose test images tasks start from unless `others` gives another's; `inputs` is a folder of
    a user's own images instead, and `masks` a file or folder of masks for them.
    """

    network: AnyClassifier
    about: dict[str, Any]
    checkpoint: Path | None
    load: Callable[[], DataSet]
    seed: int
    precision: str
    others: Callable[[], DataSet] | None = None
    inputs: str | None = None
    masks: str | None = None

    @cached_property
    def data(self) -> DataSet:
        return self.load()

    @property
    def classifier(self) -> AnyClassifier:
        """The one whose checkpoint it is."""
        return self.network.first if isinstance(self.network, Ensemble) else self.network

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(self.about["label_names"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the classifier's images."""
        channels, height, width = self.about["shape"]
        return channels, height, width

    def synthesis(self, task: str, settings: TaskSettings) -> Synthesis:
        """The task, ready to make images.

        Raises
        ------
        RequestError
            If it cannot make what is asked for.
        """
        if self.inputs is not None and isinstance(settings, SketchToImage):
            settings = replace(settings, lines="given")
        found = Synthesis(
            task, settings, self.network, self.label_names, self.shape, self.seed, self.precision,
            None if isinstance(settings, Generation) else self._originals(settings),
            self._seeds(settings) if isinstance(settings, Generation) else None,
            self._stage_masks(settings),
        )  # fmt: skip
        for number, stage in enumerate(stages(found.settings)):
            found.pose(torch.tensor([0]), stage, number)
        return found

    def _originals(self, settings: TaskSettings) -> Originals:
        if self.inputs is not None:
            few = self.shape[1] // settings.factor if isinstance(settings, SuperResolution) else None
            return from_folder(self.inputs, self.masks, self.shape, self.label_names, few)
        if self.masks is not None:
            raise RequestError("masks: found without inputs; allowed: together with inputs=DIR")
        images = (self.data if self.others is None else self.others()).test
        small = isinstance(settings, SuperResolution) and images.shape[1] * settings.factor == self.shape[1]
        if images.shape != self.shape and not small:
            raise RequestError(
                f"dataset: images of {images.name} are {list(images.shape)}, allowed: {list(self.shape)}, "
                "as the classifier takes them"
            )
        return from_data_set(images, self.label_names)

    def _stage_masks(self, settings: TaskSettings) -> tuple[Tensor | None, ...]:
        if not isinstance(settings, FeaturePainting) or not any(stage.mask for stage in settings.stages):
            return ()
        key = "tasks.feature_painting.stages"
        if self.inputs is None:
            raise RequestError(f"{key}: masks belong to images; allowed: with inputs=DIR")
        files = user_files(self.inputs)
        return tuple(
            None if stage.mask is None else read_masks(stage.mask, files, self.shape[1], f"{key}[{place}].mask")
            for place, stage in enumerate(settings.stages)
        )

    def _seeds(self, settings: Generation) -> Seeds:
        own = self.checkpoint is not None and is_safetensors(self.checkpoint)
        found = bundled_seeds(self.checkpoint) if own and self.checkpoint else None
        if found is not None and settings.seeds != "data":
            if found.pool != settings.pool:
                raise RequestError(
                    f"tasks.generation.pool: found {settings.pool}, allowed: {found.pool}, as in {self.checkpoint}; "
                    "or tasks.generation.seeds=data"
                )
            return found
        if settings.seeds == "bundle":
            raise RequestError(f"tasks.generation.seeds: {self.checkpoint} has no seeds; allowed: auto, data")
        split = self._fitted_to(settings.fit)
        fit = (split.name, settings.pool)
        if fit not in self._fits:
            self._fits[fit] = ClassGaussians(split, settings.pool)
        return self._fits[fit]

    @cached_property
    def _fits(self) -> dict[tuple[str, int], ClassGaussians]:
        return {}

    def _fitted_to(self, split: str) -> ImageSet:
        """The images that seeds are fitted to, which have to be of the classifier's classes and size."""
        data = self.data
        if data.label_names != self.label_names:
            raise RequestError(
                f"dataset: {data.name} has other classes than the classifier; "
                f"allowed: dataset={self.about['dataset']}, on which it was trained"
            )
        if data.shape != self.shape:
            raise RequestError(f"dataset: images of {data.name} are {list(data.shape)}, allowed: {list(self.shape)}")
        return data.train if split == "train" else data.test
