"""Stages that make images."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robsynth.baselines.wgan_gp import load_generator, sample
from robsynth.classifiers import load_classifier
from robsynth.config import Task
from robsynth.data import DataSet
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.progress import track
from robsynth.samples import SampleStore, to_uint8
from robsynth.tasks.synthesis import Synthesis


def as_pixels(images: Tensor) -> np.ndarray:
    """Float (n, C, H, W) in [0, 1] to uint8 (n, H, W, C)."""
    return to_uint8(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def open_synthesis(
    task: str,
    settings: Task,
    checkpoint: Path,
    data: DataSet,
    seed: int,
    device: torch.device,
    precision: str,
) -> Synthesis:
    """The task with the classifier of `checkpoint`, which has to be one of this data set."""
    network, about = load_classifier(checkpoint)
    check_matches(about, data, checkpoint)
    return Synthesis(task, settings, network, data, seed, device, precision)


def check_matches(about: dict[str, Any], data: DataSet, checkpoint: Path) -> None:
    """Refuse a checkpoint that was trained on other classes or another size of images."""
    names = about["label_names"]
    if len(names) != len(data.label_names):
        raise RequestError(
            f"checkpoint: {checkpoint} has {len(names)} classes, "
            f"allowed: {len(data.label_names)}, as dataset={data.name}"
        )
    if about["dataset"] != data.name or tuple(names) != data.label_names:
        raise RequestError(
            f"checkpoint: {checkpoint} was trained on {about['dataset']}, allowed: dataset={about['dataset']}"
        )
    if tuple(about["shape"]) != data.shape:
        raise RequestError(f"checkpoint: {checkpoint} takes images {about['shape']}, allowed: {list(data.shape)}")


def synthesize(
    synthesis: Synthesis, checkpoint: Path, directory: Path, count: int, batch_size: int, force: bool = False
) -> SampleStore:
    """Fill a sample store with a task's images; shards that are there are kept."""
    synthesis.pose(torch.tensor([0]))  # Refuses what cannot be asked for before anything is written.
    about = {
        "task": synthesis.name,
        "settings": asdict(synthesis.settings),
        "checkpoint": file_sha1(checkpoint),
        "dataset": synthesis.data.name,
        "fingerprint": synthesis.data.fingerprint,
        "label_names": list(synthesis.data.label_names),
        "seed": synthesis.seed,
        "precision": synthesis.precision,
    }
    store = SampleStore.create(directory, count, batch_size, about, force)
    for shard in track(store.missing(), synthesis.name):
        problem, result = synthesis.run(torch.tensor(store.shards[shard]))
        arrays = {
            "images": as_pixels(result),
            "wanted": problem.wanted.cpu().numpy(),
            "start": as_pixels(problem.start),
        }
        if problem.original is not None:
            arrays["original"] = as_pixels(problem.original)
        if problem.mask is not None:
            arrays["mask"] = as_pixels(problem.mask)
        store.write(shard, arrays)
    return store


def sample_generator(
    checkpoint: Path, data: DataSet, directory: Path, count: int, batch_size: int, seed: int, device: torch.device,
    force: bool = False,
) -> SampleStore:  # fmt: skip
    """Fill a sample store with a GAN's images, image i of class i mod classes."""
    network, about = load_generator(checkpoint)
    check_matches(about, data, checkpoint)
    network = network.to(device)
    manifest = {"task": "generation", "checkpoint": file_sha1(checkpoint), "dataset": data.name,
                "label_names": list(data.label_names), "seed": seed}  # fmt: skip
    store = SampleStore.create(directory, count, batch_size, manifest, force)
    for shard in track(store.missing(), "wgan_gp"):
        indices = torch.tensor(store.shards[shard])
        labels = indices % len(data.label_names)
        images = sample(network, labels.to(device), indices, seed)
        store.write(shard, {"images": as_pixels(images), "wanted": labels.numpy()})
    return store
