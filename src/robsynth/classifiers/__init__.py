"""Classifiers: networks with their normalisation inside, built by name or from a checkpoint."""

from robsynth.classifiers.building import (
    NETWORKS,
    build_classifier,
    load_classifier,
    register_network,
    save_classifier,
)
from robsynth.classifiers.checkpoints import read_checkpoint, read_extra, save_checkpoint
from robsynth.classifiers.classifier import AnyClassifier, Classifier
from robsynth.classifiers.ensemble import Ensemble
from robsynth.classifiers.opening import (
    ImageSpec,
    architecture,
    find_checkpoint,
    import_classifier,
    is_safetensors,
    open_classifier,
)

__all__ = [
    "NETWORKS", "AnyClassifier", "Classifier", "Ensemble", "ImageSpec", "architecture", "build_classifier",
    "find_checkpoint", "import_classifier", "is_safetensors", "load_classifier", "open_classifier", "read_checkpoint",
    "read_extra", "register_network", "save_checkpoint", "save_classifier",
]  # fmt: skip
