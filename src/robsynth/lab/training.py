"""Stages that train: a classifier (robust or standard), and the rival."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.baselines.generator import save_generator
from robsynth.baselines.wgan_gp import GanTraining
from robsynth.classifiers import (
    Classifier,
    architecture,
    build_classifier,
    find_checkpoint,
    load_classifier,
    save_classifier,
)  # fmt: skip
from robsynth.config import Adversary, Baseline, Dataset, Network, Recipe
from robsynth.data import DataSet
from robsynth.data.batches import Batches
from robsynth.data.normalisation import normalisation
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.run import Run
from robsynth.lab.trackers import Tracking
from robsynth.progress import say
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.fit import fit, warning
from robsynth.training.held_out import hold_out, onsets, wants_guard

UNGUARDED = "one attack step, and recipe.held_out is 0: catastrophic overfitting would not be noticed"


def train_classifier(
    run: Run, name: str, network: Network, adversary: Adversary, recipe: Recipe, data: DataSet,
    settings: Dataset, seed: int, device: torch.device, precision: str, tracking: Tracking,
) -> dict[str, Any]:  # fmt: skip
    """Train into `name`/ of the run; the result names the checkpoint and has costs and history."""
    mean, std = normalisation(data, settings)
    untrained = build_classifier(
        network.arch, network.widths, data.shape[0], len(data.label_names), mean, std, seed,
        depth=network.depth, widen=network.widen,
    )  # fmt: skip
    if recipe.start is not None:
        begin_from(untrained, recipe.start)
    images, held_out = hold_out(data.train, recipe.held_out)
    module = AdversarialTraining(untrained, adversary, recipe, seed, held_out)
    if held_out is None and wants_guard(adversary):
        say(f"warning: {UNGUARDED}")
    directory = run.directory / name
    batches = Batches(images, recipe.batch_size, seed, recipe.workers, recipe.accumulate, adversary.replays or 1)
    diary = fit(module, batches, recipe.epochs, directory, device, precision, partial(tracking.history, name),
                recipe.save_every)  # fmt: skip
    about = {
        **architecture(network),
        "channels": data.shape[0],
        "shape": list(data.shape),
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "label_names": list(data.label_names),
        "adversary": asdict(adversary),
        "recipe": asdict(recipe),
        "seed": seed,
        "held_out": None if held_out is None else {"images": held_out.name, "fingerprint": held_out.fingerprint},
        "epoch": int((diary.chosen or diary.rows[-1])["epoch"]),
    }
    checkpoint = directory / "classifier.safetensors"
    processes.once(lambda: save_classifier(checkpoint, module.kept.cpu(), about))
    warnings = [f"{name}: {warning(row)}" for row in onsets(diary.rows)]
    if held_out is None and wants_guard(adversary):
        warnings.append(f"{name}: {UNGUARDED}")
    return {**_trained(run, checkpoint, diary.rows), "warnings": warnings}


def begin_from(network: Classifier, checkpoint: str) -> None:
    """Copy a trained classifier's weights; a head for another number of classes stays as it is."""
    trained, _ = load_classifier(find_checkpoint(checkpoint, "recipe.start"), "recipe.start")
    weights, own = trained.state_dict(), network.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if unfit := [name for name in own if name not in fitting and not name.startswith(("head.", "mean", "std"))]:
        raise RequestError(f"recipe.start: {checkpoint} is of another architecture ({unfit[0]} differs)")
    normalisation = {"mean": network.mean, "std": network.std}
    network.load_state_dict({**own, **fitting, **normalisation})


def train_baseline(
    run: Run, settings: Baseline, data: DataSet, seed: int, device: torch.device, precision: str, tracking: Tracking,
) -> dict[str, Any]:  # fmt: skip
    """Train the rival into a directory of the run with its name."""
    module = GanTraining(settings, len(data.label_names), data.shape, seed)
    directory = run.directory / settings.name
    batches = Batches(data.train, settings.batch_size, seed)
    diary = fit(module, batches, settings.epochs, directory, device, precision,
                partial(tracking.history, settings.name))  # fmt: skip
    about = {
        "latent": settings.latent,
        "width": settings.width,
        "shape": list(data.shape),
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "label_names": list(data.label_names),
        "baseline": asdict(settings),
        "seed": seed,
    }
    checkpoint = directory / "generator.safetensors"
    save_generator(checkpoint, module.average.cpu(), about)
    return _trained(run, checkpoint, diary.rows)


def _trained(run: Run, checkpoint: Path, rows: list[dict[str, float]]) -> dict[str, Any]:
    # A resumed training counts what led to its weights, wherever that was computed.
    costs = {key: rows[-1][key] for key in ("wall_seconds", "cpu_seconds")}
    path = run.relative(checkpoint)
    return {"checkpoint": path, "sha1": file_sha1(checkpoint), "history": rows, "files": [path], **costs}
