from pathlib import Path
from typing import Any

from robsynth.classifiers import Classifier
from robsynth.config.commands import Config
from robsynth.errors import RequestError
from robsynth.lab.context import open_context
from robsynth.lab.stages.describing import save_bundle, training_record
from robsynth.lab.stages.painting import studio_of
from robsynth.metrics.accuracy import check_classes


def run(config: Config) -> dict[str, Any]:
    """A trained classifier as one small file that paints without its data set."""
    if config.out is None:
        raise RequestError("out: none given, allowed: a file to write, NAME.safetensors")
    context = open_context("bundle", config)
    studio = studio_of(context)
    check_classes(studio.about, context.data)
    if not isinstance(studio.classifier, Classifier) or studio.checkpoint is None:
        raise RequestError(f"classifier.arch: found {config.classifier.arch!r}, allowed: a network of this package")
    training = studio.about.get("training") or training_record(studio.checkpoint)
    about = {**studio.about, "training": training}
    return save_bundle(context, Path(config.out), studio.classifier, about, studio.checkpoint)
