"""A trained classifier, from wherever the settings say."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from robsynth.classifiers.authors import fill, read_weights
from robsynth.classifiers.building import build_classifier, load_classifier
from robsynth.classifiers.classifier import AnyClassifier, Classifier
from robsynth.config import ARCHITECTURES, FOREIGN, Network
from robsynth.config.registry import bundles
from robsynth.errors import RequestError
from robsynth.machine import CPU


def find_checkpoint(name: str, key: str = "checkpoint") -> Path:
    """The file `name`, or the bundle of that name which this package brings."""
    shipped = bundles()
    if name in shipped:
        return shipped[name]
    if not Path(name).is_file():
        raise RequestError(f"{key}: no file {name}; allowed: {', '.join(['a file', *shipped])}")
    return Path(name)


@dataclass(frozen=True)
class ImageSpec:
    """The images that a classifier is for: of which data set, classes, shape (C, H, W) and normalisation."""

    dataset: str
    label_names: Sequence[str]
    shape: tuple[int, int, int]
    mean: Sequence[float]
    std: Sequence[float]


def open_classifier(
    settings: Network, images: ImageSpec, key: str = "classifier", device: torch.device = CPU
) -> tuple[AnyClassifier, dict[str, Any]]:
    """A trained classifier in evaluation mode on a device, for these images, and what it is.

    Of our own checkpoints network and description are the file's. Others have the network that `settings` describe
    and the normalisation of the file, or else that of `images`. Nothing that is read is executed.

    Raises
    ------
    RequestError
        If there is no such file or name, it cannot be read safely, or does not fit; the message names `key`.
    RunError
        If another library cannot fetch its weights.
    """
    if settings.arch in FOREIGN:
        from robsynth.classifiers.zoo import open_foreign

        foreign, source = open_foreign(settings, images.dataset, images.shape)
        _check_classes(f"{key}.model: {settings.model}", foreign.classes, images)
        return foreign.to(device).eval(), _describe(settings, images, source)
    if settings.checkpoint is None:
        raise RequestError(f"{key}.checkpoint: none given, allowed: a file, or a bundle's name")
    path = find_checkpoint(settings.checkpoint, f"{key}.checkpoint")
    if is_safetensors(path):
        network, about = load_classifier(path, f"{key}.checkpoint", device)
        _check_classes(f"{key}.checkpoint: {path}", network.classes, images)
        return network, about
    network, about = import_classifier(path, settings, images, f"{key}.checkpoint")
    return network.to(device), about


def import_classifier(
    path: Path, settings: Network, images: ImageSpec, key: str = "checkpoint", trust: bool = False
) -> tuple[Classifier, dict[str, Any]]:
    """A classifier from a file of the authors' library, or of bare weights, as `open_classifier` gives it.

    With `trust` what code is in the file is executed.
    """
    if settings.arch in FOREIGN:
        raise RequestError(f"classifier.arch: {settings.arch} has no files to read, allowed: a network of this package")
    command = (f"robsynth convert checkpoint={shlex.quote(str(path))} classifier={settings.arch} "
               f"dataset={images.dataset} out={shlex.quote(f'{path}.safetensors')} trust=true")  # fmt: skip
    weights = read_weights(path, command, key, trust)
    if weights.classes is not None:
        _check_classes(f"{key}: {path}", weights.classes, images)
    network = build_classifier(
        settings.arch, settings.widths, images.shape[0], len(images.label_names), weights.mean or images.mean,
        weights.std or images.std, depth=settings.depth, widen=settings.widen,
    )  # fmt: skip
    fill(network, weights, f"{key}: {path} is no {settings.arch}")
    return network.eval(), _describe(settings, images, path.name)


def _describe(settings: Network, images: ImageSpec, source: str) -> dict[str, Any]:
    return {**architecture(settings), "dataset": images.dataset, "label_names": list(images.label_names),
            "shape": list(images.shape), "channels": images.shape[0], "source": source}  # fmt: skip


def architecture(settings: Network) -> dict[str, Any]:
    """What describes the network itself: `arch` and the settings that it reads."""
    return {"arch": settings.arch, **{key: getattr(settings, key) for key in ARCHITECTURES[settings.arch]}}


def is_safetensors(path: Path) -> bool:
    """By name, or by content: JSON begins after eight bytes; a file of `torch.save` is a zip archive or a pickle."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _check_classes(what: str, classes: int, images: ImageSpec) -> None:
    if classes != len(images.label_names):
        raise RequestError(
            f"{what} has {classes} classes, allowed: {len(images.label_names)}, as dataset={images.dataset}"
        )
