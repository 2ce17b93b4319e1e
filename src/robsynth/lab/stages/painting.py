"""Stages that make images: a task's, along a curve, the rival's."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robsynth import processes
from robsynth.baselines.generator import load_generator, sample
from robsynth.classifiers import AnyClassifier, Ensemble, find_checkpoint, is_safetensors, open_classifier
from robsynth.config import Generation, TaskSettings
from robsynth.data import load_data
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage
from robsynth.lab.stages.measuring import evaluation
from robsynth.lab.stages.training import RIVAL
from robsynth.progress import track
from robsynth.samples import Samples, SampleStore, as_pixels, open_samples
from robsynth.tasks.originals import user_files
from robsynth.tasks.studio import Studio
from robsynth.tasks.synthesis import Synthesis, passes, stages

Point = dict[str, float]
"""A setting of generation that it is measured at besides its own."""
KEY = "classifier.checkpoint"
Heard = Callable[[SampleStore], None]


def named_checkpoint(context: Context) -> Path | None:
    """The file of a classifier, or of a generator, that the settings name; none where they name a library's model."""
    named = context.config.classifier
    if named.checkpoint is None and named.model is None:
        raise RequestError(
            f"{KEY}: none given, allowed: a file of `robsynth train` or `robsynth reproduce`, a file of "
            "the authors' library, or the name of a classifier that ships with robsynth"
        )
    return find_checkpoint(named.checkpoint, KEY) if named.checkpoint else None


def studio_of(context: Context) -> Studio:
    """The classifier that this run has trained, or else the one that its settings name."""
    return context.kept("studio", lambda: _open_studio(context))


def _open_studio(context: Context) -> Studio:
    config = context.config
    trained = "train classifier" in context.results
    checkpoint = context.checkpoint("classifier") if trained else named_checkpoint(context)
    network: AnyClassifier
    if checkpoint is not None and is_safetensors(checkpoint):
        network, about = context.open(checkpoint, KEY)
    else:
        network, about = open_classifier(config.classifier, context.images, device=context.machine.device)
    others = None if config.originals.name == "none" else lambda: load_data(config.originals)
    return Studio(_ensemble(context, network, about), about, checkpoint, lambda: context.data, context.seed,
                  context.machine.precision, others, config.inputs, config.masks)  # fmt: skip


def _ensemble(context: Context, first: AnyClassifier, about: dict[str, Any]) -> AnyClassifier:
    """The first, or where the settings name more, all of which the logits are averaged."""
    networks = [first]
    for path in context.config.ensemble:
        network, its = context.open(find_checkpoint(path, "ensemble"), "ensemble")
        if its["label_names"] != about["label_names"]:
            raise RequestError(f"ensemble: {path} has other classes, allowed: {', '.join(about['label_names'][:20])}")
        networks.append(network)
    return Ensemble(networks) if len(networks) > 1 else first


def store_of(context: Context, name: str) -> Path:
    """Where a run's images lie: below the run, but those of a command that makes nothing else."""
    return context.directory if context.command == "synthesize" else context.directory / "samples" / name


def opened(context: Context, name: str) -> Samples:
    return open_samples(store_of(context, name))


def synthesize(context: Context, task: str, needs: tuple[str, ...] = ()) -> Stage:
    """The images of a task, of which whoever listens hears while they are made."""

    def heard(store: SampleStore) -> None:
        context.listener.images(task, store, lambda first: evaluation(context).at({"images": len(first)}, task, first))

    return _painting(f"synthesize {task}", task, context.config.tasks[task], context.config.samples.count, heard, needs)


def points(context: Context) -> list[Point]:
    """The points of the run's curves."""
    curves = context.config.curves
    if "generation" not in context.config.select:
        return []
    return [*({"steps": steps} for steps in curves.steps), *({"eps": eps} for eps in curves.eps)]


def said(point: Point) -> str:
    """A setting as words of a stage's and of a directory's name."""
    return "_".join(f"{key}_{value:g}" for key, value in point.items())


def synthesize_at(context: Context, point: Point, needs: tuple[str, ...]) -> Stage:
    """As many generated images as a curve's points have, with another setting."""
    settings: TaskSettings = replace(context.config.tasks["generation"], **point)
    name = f"synthesize at {said(point)}"
    return _painting(name, "generation", settings, context.config.curves.count, lambda store: None, needs)


def _painting(name: str, task: str, settings: TaskSettings, count: int, heard: Heard, needs: tuple[str, ...]) -> Stage:
    def work(context: Context) -> Result:
        directory = store_of(context, name.removeprefix("synthesize ").removeprefix("at "))
        store = _paint(context, studio_of(context).synthesis(task, settings), count, directory, heard)
        # Once more for shards that a killed run left without a word.
        processes.once(lambda: heard(store))
        return _stored(context, store)

    def cost(context: Context) -> Cost:
        config, several = context.config, len(stages(settings))
        given = config.inputs and not isinstance(settings, Generation)
        images = len(user_files(config.inputs)) if given else count
        ball = "" if settings.norm == "none" else f", {settings.norm} {settings.eps:g}"
        what = f"{images} images, {several} x {settings.steps} steps of {settings.step_size:g}{ball}"
        through = (1 + len(config.ensemble)) * passes(settings, images)
        return Cost(what, {"classifier": through}, min(config.samples.batch_size, images))

    return Stage(name, work, cost, needs)


def _paint(context: Context, synthesis: Synthesis, count: int, directory: Path, heard: Heard) -> SampleStore:
    """A store of `count` images, or one for each of a user's own."""
    originals, config = synthesis.originals, context.config
    files = [studio_of(context).checkpoint, *(find_checkpoint(path, "ensemble") for path in config.ensemble)]
    digests = " ".join(file_sha1(path) for path in files if path is not None)
    about = {
        "task": synthesis.name,
        "settings": asdict(synthesis.settings),
        "checkpoint": digests or f"{config.classifier.arch}: {config.classifier.model}",
        "dataset": studio_of(context).about["dataset"],
        "originals": None if originals is None else f"{originals.images.name}, {originals.images.fingerprint}",
        "masks": config.masks,
        "label_names": list(synthesis.label_names),
        "seed": synthesis.seed,
        "precision": synthesis.precision,
    }

    def painted(numbers: range) -> dict[str, np.ndarray]:
        problem, result = synthesis.run(torch.tensor(numbers))
        images = {"images": result, "start": problem.start, "original": problem.original, "mask": problem.mask}
        pixels = {name: as_pixels(found) for name, found in images.items() if found is not None}
        return {**pixels, "wanted": problem.wanted.cpu().numpy()}

    count = len(originals) if originals is not None and originals.given else count
    return _fill(context, directory, count, about, painted, heard)


def sample_rival(context: Context, checkpoint: Path | None = None, name: str = f"sample {RIVAL}") -> Stage:
    """As many images of a GAN as there are of a task, of the one that this run has trained unless one is given."""
    count, batch = context.config.samples.count, context.config.samples.batch_size

    def work(context: Context) -> Result:
        path, data, device = checkpoint or context.checkpoint(RIVAL), context.data, context.machine.device
        network, about = load_generator(path, device=device)
        if about["dataset"] != data.name or tuple(about["label_names"]) != data.label_names:
            raise RequestError(
                f"checkpoint: {path} was trained on {about['dataset']}, allowed: dataset={about['dataset']}"
            )

        def sampled(numbers: range) -> dict[str, np.ndarray]:
            # Image i is of class i mod classes.
            indices = torch.tensor(numbers)
            labels = indices % len(data.label_names)
            images = sample(network, labels.to(device), indices, context.seed)
            return {"images": as_pixels(images), "wanted": labels.numpy()}

        manifest = {"task": "generation", "checkpoint": file_sha1(path), "dataset": data.name,
                    "label_names": list(data.label_names), "seed": context.seed}  # fmt: skip
        return _stored(context, _fill(context, store_of(context, RIVAL), count, manifest, sampled, lambda store: None))

    cost = Cost(f"{count} images", {"generator": count}, batch)
    return Stage(name, work, lambda context: cost, () if checkpoint else (f"train {RIVAL}",))


def _fill(
    context: Context, directory: Path, count: int, about: dict[str, Any], arrays: Callable[[range], dict[str, Any]],
    heard: Heard,
) -> SampleStore:  # fmt: skip
    """A store of images, each process its shards; those that are there are kept.

    `heard` is called after each shard, or where several processes share them once at the end.
    """
    size, among = context.config.samples.batch_size, directory == context.directory
    store = processes.once(lambda: SampleStore.create(directory, count, size, about, among))
    for shard in track(processes.mine(store.missing()), about["task"]):
        store.write(shard, arrays(store.shards[shard]))
        if processes.count() == 1:
            heard(store)
    processes.barrier()
    if processes.count() > 1:
        # Several processes fill it in no order, so it is looked at once, when it is full.
        processes.once(lambda: heard(store))
    return store


def _stored(context: Context, store: SampleStore) -> Result:
    """A store as a stage keeps it."""
    files = [context.relative(store.path(shard)) for shard in range(len(store.shards))]
    return {"files": files, "count": store.count}
