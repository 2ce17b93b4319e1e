"""Stages that make images."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robsynth import processes
from robsynth.baselines.generator import load_generator, sample
from robsynth.classifiers import (
    AnyClassifier,
    Ensemble,
    find_checkpoint,
    is_safetensors,
    load_classifier,
    open_classifier,
    read_extra,
)  # fmt: skip
from robsynth.config import Config, FeaturePainting, Generation, SketchToImage, SuperResolution, Task
from robsynth.data import DataSet, load_data
from robsynth.errors import RequestError
from robsynth.files import file_sha1, writable_directory
from robsynth.progress import track
from robsynth.samples import SampleStore, to_uint8
from robsynth.tasks import ClassGaussians, LowRankGaussians, Seeds, Synthesis
from robsynth.tasks.originals import Originals, from_folder, held_out, read_masks, user_files
from robsynth.tasks.synthesis import stages

SEEDS = "seeds."


def as_pixels(images: Tensor) -> np.ndarray:
    """Float (n, C, H, W) in [0, 1] to uint8 (n, H, W, C)."""
    return to_uint8(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()


@dataclass
class Studio:
    """A classifier with what its tasks may need; data is looked for when a task needs it, and not before.

    `checkpoint` is the classifier's file, where it has one.
    """

    config: Config
    device: torch.device
    precision: str
    checkpoint: Path | None
    network: AnyClassifier
    about: dict[str, Any]
    load: Callable[[], DataSet]

    @cached_property
    def data(self) -> DataSet:
        return self.load()

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(self.about["label_names"])

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.about["shape"]
        return channels, height, width

    @cached_property
    def painters(self) -> AnyClassifier:
        """The network whose gradient moves images: the classifier, or several of which the logits are averaged."""
        others = [load_classifier(find_checkpoint(path, "ensemble"), "ensemble") for path in self.config.ensemble]
        for path, (_, about) in zip(self.config.ensemble, others, strict=True):
            if tuple(about["label_names"]) != self.label_names:
                raise RequestError(f"ensemble: {path} has other classes, allowed: {', '.join(self.label_names[:20])}")
        return Ensemble([self.network, *(network for network, _ in others)]) if others else self.network

    def synthesis(self, task: str) -> Synthesis:
        """The task, ready to make images."""
        settings = self.config.tasks[task]
        if self.config.inputs is not None and isinstance(settings, SketchToImage):
            settings = replace(settings, lines="given")
        originals = None if task == "generation" else self._originals(settings)
        return Synthesis(
            task,
            settings,
            self.painters,
            self.label_names,
            self.shape,
            self.config.seed,
            self.device,
            self.precision,
            originals,
            self._seeds(settings) if isinstance(settings, Generation) else None,
            self._stage_masks(settings, originals),
        )

    def _originals(self, settings: Task) -> Originals:
        c = self.config
        if c.inputs is not None:
            few = self.shape[1] // settings.factor if isinstance(settings, SuperResolution) else None
            return from_folder(c.inputs, c.masks, self.shape, self.label_names, few)
        if c.masks is not None:
            raise RequestError("masks: found without inputs; allowed: together with inputs=DIR")
        images = self.data.test if c.originals.name == "none" else load_data(c.originals).test
        small = isinstance(settings, SuperResolution) and images.shape[1] * settings.factor == self.shape[1]
        if images.shape != self.shape and not small:
            raise RequestError(
                f"dataset: images of {images.name} are {list(images.shape)}, allowed: {list(self.shape)}, "
                "as the classifier takes them"
            )
        return held_out(images, self.label_names)

    def _stage_masks(self, settings: Task, originals: Originals | None) -> tuple[Tensor | None, ...]:
        if not isinstance(settings, FeaturePainting) or not any(stage.mask for stage in settings.stages):
            return ()
        assert originals is not None
        if self.config.inputs is None:
            raise RequestError("tasks.feature_painting.stages: masks belong to images; allowed: with inputs=DIR")
        files = user_files(self.config.inputs)
        key = "tasks.feature_painting.stages"
        return tuple(
            None if stage.mask is None else read_masks(stage.mask, files, self.shape[1], f"{key}[{i}].mask")
            for i, stage in enumerate(settings.stages)
        )

    def _seeds(self, settings: Generation) -> Seeds:
        own = self.checkpoint is not None and is_safetensors(self.checkpoint)
        kept = read_extra(self.checkpoint, SEEDS) if own and self.checkpoint else {}
        if kept and settings.seeds != "data":
            found = LowRankGaussians.from_tensors(kept)
            if found.pool != settings.pool:
                raise RequestError(
                    f"tasks.generation.pool: found {settings.pool}, allowed: {found.pool}, as in {self.checkpoint}; "
                    "or tasks.generation.seeds=data"
                )
            return found
        if settings.seeds == "bundle":
            raise RequestError(f"tasks.generation.seeds: {self.checkpoint} has no seeds; allowed: auto, data")
        self._check_data()
        split = self.data.train if settings.fit == "train" else self.data.test
        return _fitted_seeds(split, settings.pool)

    def _check_data(self) -> None:
        if self.data.label_names != self.label_names:
            raise RequestError(
                f"dataset: {self.data.name} has other classes than the classifier; "
                f"allowed: dataset={self.about['dataset']}, on which it was trained"
            )
        if self.data.shape != self.shape:
            raise RequestError(
                f"dataset: images of {self.data.name} are {list(self.data.shape)}, allowed: {list(self.shape)}"
            )

    def count(self, synthesis: Synthesis) -> int:
        """How many images: one for each of a user's own, or as many as are asked for."""
        originals = synthesis.originals
        given = originals is not None and originals.given
        return len(originals) if given and originals is not None else self.config.samples.count


_seeds_by_data: dict[tuple[str, int], ClassGaussians] = {}


def _fitted_seeds(images: Any, pool: int) -> ClassGaussians:
    key = (images.fingerprint, pool)
    return _seeds_by_data.setdefault(key, ClassGaussians(images, pool))


def open_studio(
    config: Config, device: torch.device, precision: str, load: Callable[[], DataSet], checkpoint: Path | None = None
) -> Studio:
    """The classifier of `checkpoint`, or else the one that the settings name, and what its tasks need."""
    settings = config.classifier
    key = "classifier.checkpoint"
    named = checkpoint or (find_checkpoint(settings.checkpoint, key) if settings.checkpoint else None)
    network: AnyClassifier
    if named is not None and is_safetensors(named):
        network, about = load_classifier(named, key)
    elif named is None and settings.model is None:
        raise RequestError(
            f"{key}: none given, allowed: a file of `robsynth train` or `robsynth reproduce`, a file of "
            "the authors' library, or the name of a classifier that ships with robsynth"
        )
    else:
        data = load()
        mean, std = config.dataset.mean or [0.0] * 3, config.dataset.std or [1.0] * 3
        network, about = open_classifier(settings, data.name, data.label_names, data.shape, mean, std)
    return Studio(config, device, precision, named, network, about, load)


# What surrounds the making of a store's images, once the store is there.
Around = Callable[[SampleStore], AbstractContextManager[None]]


def _nothing(store: SampleStore) -> AbstractContextManager[None]:
    return nullcontext()


def synthesize(
    studio: Studio, task: str, directory: Path, force: bool = False, around: Around = _nothing,
    on_shard: Callable[[SampleStore], None] = lambda store: None,
) -> SampleStore:  # fmt: skip
    """Fill a sample store with a task's images, each process its shards; those that are there are kept.

    `on_shard` is called after each, or where several processes share them once at the end.
    """
    synthesis = studio.synthesis(task)
    for stage, settings in enumerate(stages(synthesis.settings)):
        # Refuses what cannot be asked for before anything is written.
        synthesis.pose(torch.tensor([0]), settings, stage)
    originals = synthesis.originals
    about = {
        "task": task,
        "settings": asdict(synthesis.settings),
        "checkpoint": _checkpoint_digest(studio),
        "dataset": studio.about["dataset"],
        "originals": None if originals is None else f"{originals.images.name}, {originals.images.fingerprint}",
        "masks": studio.config.masks,
        "label_names": list(synthesis.label_names),
        "seed": synthesis.seed,
        "precision": synthesis.precision,
    }
    count, size = studio.count(synthesis), studio.config.samples.batch_size
    store = processes.once(lambda: SampleStore.create(writable_directory(directory), count, size, about, force))
    with around(store):
        for shard in track(processes.mine(store.missing()), task):
            store.write(shard, _arrays(synthesis, store.shards[shard]))
            if processes.count() == 1:
                on_shard(store)
        processes.barrier()
        if processes.count() > 1:
            # Several processes fill it in no order, so it is looked at once, when it is full.
            processes.once(lambda: on_shard(store))
    return store


def _arrays(synthesis: Synthesis, numbers: range) -> dict[str, np.ndarray]:
    """A shard's images with what belongs to them."""
    problem, result = synthesis.run(torch.tensor(numbers))
    arrays = {
        "images": as_pixels(result),
        "wanted": problem.wanted.cpu().numpy(),
        "start": as_pixels(problem.start),
    }
    if problem.original is not None:
        arrays["original"] = as_pixels(problem.original)
    if problem.mask is not None:
        arrays["mask"] = as_pixels(problem.mask)
    return arrays


def _checkpoint_digest(studio: Studio) -> str:
    names = [studio.checkpoint, *(find_checkpoint(path, "ensemble") for path in studio.config.ensemble)]
    digests = [file_sha1(path) for path in names if path is not None]
    return " ".join(digests) or f"{studio.config.classifier.arch}: {studio.config.classifier.model}"


def sample_generator(
    checkpoint: Path, data: DataSet, directory: Path, count: int, batch_size: int, seed: int, device: torch.device,
    force: bool = False, around: Around = _nothing,
) -> SampleStore:  # fmt: skip
    """Fill a sample store with a GAN's images, each process its shards; image i is of class i mod classes."""
    network, about = load_generator(checkpoint)
    if about["dataset"] != data.name or tuple(about["label_names"]) != data.label_names:
        raise RequestError(
            f"checkpoint: {checkpoint} was trained on {about['dataset']}, allowed: dataset={about['dataset']}"
        )
    network = network.to(device)
    manifest = {"task": "generation", "checkpoint": file_sha1(checkpoint), "dataset": data.name,
                "label_names": list(data.label_names), "seed": seed}  # fmt: skip
    store = processes.once(
        lambda: SampleStore.create(writable_directory(directory), count, batch_size, manifest, force)
    )
    with around(store):
        for shard in track(processes.mine(store.missing()), "wgan_gp"):
            indices = torch.tensor(store.shards[shard])
            labels = indices % len(data.label_names)
            images = sample(network, labels.to(device), indices, seed)
            store.write(shard, {"images": as_pixels(images), "wanted": labels.numpy()})
        processes.barrier()
    return store
