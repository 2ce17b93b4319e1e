"""A trained classifier, from wherever the settings say."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robsynth.classifiers.authors import fill, read_weights
from robsynth.classifiers.building import build_classifier, load_classifier
from robsynth.classifiers.classifier import AnyClassifier, Classifier
from robsynth.config import ARCHITECTURES, FOREIGN, Network
from robsynth.errors import RequestError

BUNDLES = Path(__file__).parents[1] / "bundles"


def find_checkpoint(name: str, key: str = "checkpoint") -> Path:
    """The file `name`, or the bundle of that name which this package brings."""
    bundles = {path.stem: path for path in sorted(BUNDLES.glob("*.safetensors"))}
    if name in bundles:
        return bundles[name]
    if not Path(name).is_file():
        raise RequestError(f"{key}: no file {name}; allowed: {', '.join(['a file', *bundles])}")
    return Path(name)


def open_classifier(
    settings: Network, dataset: str, label_names: Sequence[str], shape: Sequence[int], mean: Sequence[float],
    std: Sequence[float], key: str = "classifier",
) -> tuple[AnyClassifier, dict[str, Any]]:  # fmt: skip
    """A trained classifier in evaluation mode, for a data set of these classes and images, and what it is.

    Of our own checkpoints network and description are the file's. Others have the network that `settings` describe
    and the normalisation of the file, or else `mean` and `std`. Nothing that is read is executed.

    Raises
    ------
    RequestError
        If there is no such file or name, it cannot be read safely, or does not fit; the message names `key`.
    RunError
        If another library cannot fetch its weights.
    """
    if settings.arch in FOREIGN:
        from robsynth.classifiers.zoo import open_foreign

        foreign, source = open_foreign(settings, dataset, shape)
        _check_classes(f"{key}.model: {settings.model}", foreign.classes, label_names, dataset)
        return foreign.eval(), _describe(settings, dataset, label_names, shape, source)
    if settings.checkpoint is None:
        raise RequestError(f"{key}.checkpoint: none given, allowed: a file, or a bundle's name")
    path = find_checkpoint(settings.checkpoint, f"{key}.checkpoint")
    if is_safetensors(path):
        network, about = load_classifier(path, f"{key}.checkpoint")
        _check_classes(f"{key}.checkpoint: {path}", network.classes, label_names, dataset)
        return network, about
    return import_classifier(path, settings, dataset, label_names, shape, mean, std, f"{key}.checkpoint")


def import_classifier(
    path: Path, settings: Network, dataset: str, label_names: Sequence[str], shape: Sequence[int],
    mean: Sequence[float], std: Sequence[float], key: str = "checkpoint", trust: bool = False,
) -> tuple[Classifier, dict[str, Any]]:  # fmt: skip
    """A classifier from a file of the authors' library, or of bare weights, as `open_classifier` gives it.

    With `trust` what code is in the file is executed.
    """
    if settings.arch in FOREIGN:
        raise RequestError(f"classifier.arch: {settings.arch} has no files to read, allowed: a network of this package")
    command = (f"robsynth convert checkpoint={shlex.quote(str(path))} classifier={settings.arch} dataset={dataset} "
               f"out={shlex.quote(f'{path}.safetensors')} trust=true")  # fmt: skip
    weights = read_weights(path, command, key, trust)
    if weights.classes is not None:
        _check_classes(f"{key}: {path}", weights.classes, label_names, dataset)
    network = build_classifier(
        settings.arch, settings.widths, shape[0], len(label_names), weights.mean or mean, weights.std or std,
        depth=settings.depth, widen=settings.widen,
    )  # fmt: skip
    fill(network, weights, f"{key}: {path} is no {settings.arch}")
    return network.eval(), _describe(settings, dataset, label_names, shape, path.name)


def _describe(
    settings: Network, dataset: str, label_names: Sequence[str], shape: Sequence[int], source: str
) -> dict[str, Any]:
    return {**architecture(settings), "dataset": dataset, "label_names": list(label_names), "shape": list(shape),
            "channels": shape[0], "source": source}  # fmt: skip


def architecture(settings: Network) -> dict[str, Any]:
    """What describes the network itself: `arch` and the settings that it reads."""
    return {"arch": settings.arch, **{key: getattr(settings, key) for key in ARCHITECTURES[settings.arch]}}


def is_safetensors(path: Path) -> bool:
    """By name, or by content: JSON begins after eight bytes; a file of `torch.save` is a zip archive or a pickle."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _check_classes(what: str, classes: int, label_names: Sequence[str], dataset: str) -> None:
    if classes != len(label_names):
        raise RequestError(f"{what} has {classes} classes, allowed: {len(label_names)}, as dataset={dataset}")
