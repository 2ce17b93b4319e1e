"""A classifier with all that synthesis needs of its data, in one small file."""

from pathlib import Path
from typing import Any

from robsynth.classifiers import Classifier, read_extra, save_classifier
from robsynth.config import Generation
from robsynth.data import DataSet
from robsynth.progress import say
from robsynth.tasks.seeds import ClassGaussians, LowRankGaussians

# How the names of the seeds' tensors begin.
SEEDS = "seeds."


def save_bundle(path: Path, network: Classifier, about: dict[str, Any], data: DataSet, settings: Generation) -> None:
    """Write weights in half precision, label names, normalisation, what `about` says, and the seeds.

    The seeds are the Gaussians of the settings' split, of their rank, in half precision. `reference` in what it says
    names by digest the images that a figure has to be measured against.
    """
    split = data.train if settings.fit == "train" else data.test
    say(f"seeds: Gaussians of rank {settings.rank} of {split.name}")
    seeds = ClassGaussians(split, settings.pool).low_rank(settings.rank)
    described = {
        **about,
        "seeds": {"fit": split.name, "fingerprint": split.fingerprint, "pool": settings.pool, "rank": settings.rank},
        "reference": {images.name: images.fingerprint for images in (data.train, data.test)},
    }
    extra = {SEEDS + name: value for name, value in seeds.tensors().items()}
    save_classifier(path, network, described, half=True, extra=extra)


def bundled_seeds(checkpoint: Path) -> LowRankGaussians | None:
    """The seeds that a checkpoint of ours keeps, if it does."""
    kept = read_extra(checkpoint, SEEDS)
    return LowRankGaussians.from_tensors(kept) if kept else None
