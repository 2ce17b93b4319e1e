"""A model card as Markdown, with the front matter that the Hugging Face hub reads."""

from collections.abc import Mapping
from typing import Any

from robsynth.files import some
from robsynth.records.figures import METRICS, setting_of
from robsynth.reports.formats import filled
from robsynth.reports.tables import Figure, figure_cell, is_point

# The hub's name of the task, and its tags.
HUB = {
    "classifier": ("image-classification", ["image-classification", "adversarial-robustness", "image-synthesis"]),
    "generator": ("unconditional-image-generation", ["image-generation", "gan"]),
}


def card_markdown(card: Mapping[str, Any]) -> str:
    """All of a card of `records/card.py` for people to read."""
    figures = [figure for figure in card["figures"] if figure["value"] is not None]
    front, classes = _front_matter(card, figures), some(card["network"]["classes"])
    functions = {"metrics": METRICS, "setting_of": setting_of, "figure_cell": figure_cell}
    return filled("card.md.j2", card=card, front=front, classes=classes, figures=figures, **functions)


def _front_matter(card: Mapping[str, Any], figures: list[Figure]) -> str:
    """https://huggingface.co/docs/hub/model-cards: what is measured stands in the model index."""
    from huggingface_hub import EvalResult, ModelCardData

    (task, tags), hub, name = HUB[card["kind"]], card["data"]["notes"]["hub"], card["data"]["name"]
    results = [
        EvalResult(
            task_type=task, dataset_type=hub or name, dataset_name=name, dataset_split="test",
            metric_type="accuracy" if figure["metric"].endswith("_accuracy") else figure["metric"],
            metric_value=figure["value"], metric_name=f"{METRICS[figure['metric']].title}, {figure['protocol']}",
        )
        for figure in figures if not is_point(figure)
    ]  # fmt: skip
    return ModelCardData(
        license=card["licence"], library_name="robsynth", pipeline_tag=task, tags=tags,
        datasets=[hub] if hub else None, metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=card["name"], eval_results=results or None,
    ).to_yaml()  # fmt: skip
