"""A classifier with all that synthesis needs of its data, in one small file."""

from pathlib import Path
from typing import Any

from robsynth.classifiers import Classifier, save_classifier
from robsynth.config import Generation
from robsynth.data import DataSet
from robsynth.files import file_sha1, read_json
from robsynth.lab.cards import describe_copy
from robsynth.lab.synthesis import SEEDS
from robsynth.progress import say
from robsynth.tasks import ClassGaussians


def save_bundle(
    path: Path, network: Classifier, about: dict[str, Any], data: DataSet, generation: Generation,
    training: dict[str, Any], original: Path,
) -> dict[str, Any]:  # fmt: skip
    """Write weights in half precision, label names, normalisation, the training's record, and the seeds; and a card.

    `original` is the checkpoint that the network came from, `about` that one's own description. The seeds are the
    Gaussians of the settings' split, of their rank, in half precision. `reference` names by digest the images that a
    figure has to be measured against.
    """
    split = data.train if generation.fit == "train" else data.test
    say(f"seeds: Gaussians of rank {generation.rank} of {split.name}")
    seeds = ClassGaussians(split, generation.pool).low_rank(generation.rank)
    described = {
        **about,
        "training": training,
        "seeds": {"fit": split.name, "fingerprint": split.fingerprint, "pool": generation.pool,
                  "rank": generation.rank},
        "reference": {name.name: name.fingerprint for name in (data.train, data.test)},
    }  # fmt: skip
    extra = {SEEDS + name: value for name, value in seeds.tensors().items()}
    save_classifier(path, network, described, half=True, extra=extra)
    card, _ = describe_copy(path, original)
    return {"bundle": str(path), "sha1": file_sha1(path), "megabytes": round(path.stat().st_size / 1e6, 2),
            "card": str(card)}  # fmt: skip


def training_record(checkpoint: Path) -> dict[str, Any]:
    """What the run that trained a checkpoint kept of it: history, costs, commit; empty where no run is around it."""
    stage = checkpoint.resolve().parents[1] / "stages" / "train classifier.json"
    if not stage.is_file():
        return {}
    kept = read_json(stage)
    return {
        "history": kept["result"]["history"],
        **{key: kept[key] for key in ("wall_seconds", "cpu_seconds", "finished", "commit")},
    }
