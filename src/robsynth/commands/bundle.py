from functools import cache
from pathlib import Path
from typing import Any

from robsynth.classifiers import Classifier
from robsynth.config import Config, Generation
from robsynth.data import load_data
from robsynth.errors import RequestError
from robsynth.lab.bundle import save_bundle, training_record
from robsynth.lab.synthesis import open_studio
from robsynth.machine import resolve_device
from robsynth.metrics.accuracy import check_classes


def run(config: Config) -> dict[str, Any]:
    """A trained classifier as one small file that paints without its data set."""
    if config.out is None:
        raise RequestError("out: none given, allowed: a file to write, NAME.safetensors")
    load = cache(lambda: load_data(config.dataset))
    studio = open_studio(config, resolve_device(config.device), "fp32", load)
    check_classes(studio.about, studio.data)
    generation = config.tasks["generation"]
    assert isinstance(generation, Generation)
    if not isinstance(studio.network, Classifier) or studio.checkpoint is None:
        raise RequestError(f"classifier.arch: found {config.classifier.arch!r}, allowed: a network of this package")
    training = studio.about.get("training") or training_record(studio.checkpoint)
    return save_bundle(Path(config.out), studio.network, studio.about, studio.data, generation, training,
                       studio.checkpoint)  # fmt: skip
