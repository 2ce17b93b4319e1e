"""A model card beside each checkpoint."""

from pathlib import Path
from typing import Any

from safetensors import safe_open

from robsynth.baselines.generator import load_generator
from robsynth.classifiers import load_classifier, read_checkpoint
from robsynth.files import file_sha1, write_json, write_text
from robsynth.records.card import card_of_copy, card_path, model_card
from robsynth.records.record import Record
from robsynth.reports.card import card_markdown


def describe_training(record: Record, training: str, subject: str, checkpoint: Path) -> list[Path]:
    """Write the card of a checkpoint that this run trained, as JSON and as Markdown; returns the files."""
    return _write(checkpoint, model_card(record, training, subject, *_look_at(checkpoint)))


def describe_copy(checkpoint: Path, original: Path) -> list[Path]:
    """Write the card of a checkpoint that was made of another one."""
    return _write(checkpoint, card_of_copy(original, *_look_at(checkpoint)))


def _write(checkpoint: Path, card: dict[str, Any]) -> list[Path]:
    path = card_path(checkpoint)
    write_json(path, card)
    write_text(path.with_suffix(".md"), card_markdown(card))
    return [path, path.with_suffix(".md")]


def _look_at(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint's file is, and what it says of itself."""
    kind, _, _ = read_checkpoint(checkpoint)
    with safe_open(checkpoint, "pt") as file:
        halved = any(file.get_slice(name).get_dtype() == "F16" for name in file.keys())  # noqa: SIM118
    network, about = (load_classifier if kind == "classifier" else load_generator)(checkpoint)
    weights = {
        "file": checkpoint.name,
        "sha1": file_sha1(checkpoint),
        "bytes": checkpoint.stat().st_size,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bits": 16 if halved else 32,
    }
    return weights, about
