"""A model card: what is known of one checkpoint, JSON-like; beside it as `NAME.card.json`, and rendered as Markdown."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from robsynth.errors import RequestError
from robsynth.files import read_json
from robsynth.records.record import COSTS, Record

FORMAT = "robsynth-card-1"
# What is said of kinds of networks and of data sets, whatever was measured.
KNOWN = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())


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
    data = {**_chosen(record.data, ("name", "source", "fingerprint", "train", "test")),
            "held out of training": about.get("held_out")}  # fmt: skip
    return {
        **_description(f"{record.run}/{training}", weights, about, data),
        "epochs": _epochs(record.history[training], about),
        "costs": _chosen(stage, COSTS),
        "run": {"name": record.run, "command": record.command, "finished": stage["finished"], "commit": record.commit,
                "versions": record.versions, "machine": record.machine},
        "figures": figures,
        "protocols": _chosen(record.protocols, dict.fromkeys(figure["protocol"] for figure in figures)),
        "warnings": [line for line in record.warnings if line.startswith((f"{training}:", f"{subject},"))],
    }  # fmt: skip


def card_of_copy(original: Path, weights: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """The card of a checkpoint that holds the weights of `original` in another form.

    It is the original's, or where that has none says what the checkpoint itself does.
    """
    copied = {"copy of": original.name, "seeds": about.get("seeds")}
    if card_path(original).is_file():
        return {**read_card(original), "weights": weights, **copied}
    data = {"name": about["dataset"], "fingerprint": about.get("fingerprint")}
    card = {**_description(original.stem, weights, about, data), "source": about.get("source"), **copied}
    trained = about.get("training") or {}
    if trained.get("history"):
        card |= {"epochs": _epochs(trained["history"], about), "costs": _chosen(trained, COSTS),
                 "run": _chosen(trained, ("finished", "commit"))}  # fmt: skip
    return {**card, "figures": [], "protocols": {}}


def read_card(checkpoint: Path) -> dict[str, Any]:
    """The card beside a checkpoint; a RequestError if it is not there, or is none."""
    path = card_path(checkpoint)
    card = read_json(path)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise RequestError(f"{path}: not a model card (allowed: {FORMAT})")
    return card


def _description(name: str, weights: dict[str, Any], about: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    kind = "classifier" if "arch" in about else "generator"
    network = _chosen(about, ("arch", "widths", "depth", "widen", "latent", "width", "mean", "std"))
    return {
        "format": FORMAT,
        "name": name,
        "kind": kind,
        "weights": weights,
        "network": {**network, "images": list(about["shape"]), "values": "[0, 1]", "classes": about["label_names"]},
        "training": _chosen(about, ("adversary", "recipe", "baseline", "seed")),
        "uses": KNOWN["uses"][kind],
        "limits": KNOWN["limits"][kind],
        "licence": "mit",
        "data": {**data, "notes": KNOWN["data"].get(data["name"], KNOWN["data"]["other"])},
    }


def _chosen(values: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}


def _epochs(history: list[dict[str, float]], about: dict[str, Any]) -> dict[str, Any]:
    return {"trained": len(history), "kept": about.get("epoch", len(history)), "last": history[-1]}
