"""Stage that describes: a model card beside each checkpoint."""

from pathlib import Path
from typing import Any

from robsynth.baselines.generator import load_generator
from robsynth.classifiers import load_classifier, read_checkpoint
from robsynth.files import file_sha1, write_text
from robsynth.records.card import card_of_copy, card_path, model_card, save_card
from robsynth.records.record import Record
from robsynth.reports.card import card_markdown


def describe_training(record: Record, training: str, subject: str, checkpoint: Path) -> list[Path]:
    """Write the card of a checkpoint that this run trained, as JSON and as Markdown; returns the files."""
    return _write(checkpoint, model_card(record, training, subject, *_look_at(checkpoint)))


def describe_copy(checkpoint: Path, original: Path) -> list[Path]:
    """Write the card of a checkpoint that was made of another one."""
    return _write(checkpoint, card_of_copy(original, *_look_at(checkpoint)))


def _write(checkpoint: Path, card: dict[str, Any]) -> list[Path]:
    text = card_path(checkpoint).with_suffix(".md")
    write_text(text, card_markdown(card))
    return [save_card(checkpoint, card), text]


def _look_at(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint's file is, and what it says of itself."""
    network, about = (load_classifier if _is_classifier(checkpoint) else load_generator)(checkpoint)
    weights = {
        "file": checkpoint.name,
        "sha1": file_sha1(checkpoint),
        "bytes": checkpoint.stat().st_size,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bits": 16 if "seeds" in about else 32,
    }
    return weights, about


def _is_classifier(checkpoint: Path) -> bool:
    return read_checkpoint(checkpoint)[0] == "classifier"
