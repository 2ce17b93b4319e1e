"""A model card as Markdown, with the front matter that the Hugging Face hub reads."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from robsynth.records.figures import METRICS
from robsynth.reports.formats import markdown
from robsynth.reports.tables import Cell, Table, figure_cell

TASKS = {"classifier": "image-classification", "generator": "unconditional-image-generation"}
TAGS = {
    "classifier": ["image-classification", "adversarial-robustness", "image-synthesis"],
    "generator": ["image-generation", "gan"],
}


def card_markdown(card: Mapping[str, Any]) -> str:
    """All of a card of `records/card.py` for people to read."""
    header = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=True)
    return "\n".join([f"---\n{header}---", "", f"# {card['name']}", "", *_body(card)])


def _front_matter(card: Mapping[str, Any]) -> dict[str, Any]:
    """https://huggingface.co/docs/hub/model-cards: what is measured stands in the model index."""
    kind, hub = card["kind"], card["data"]["notes"]["hub"]
    found: dict[str, Any] = {
        "license": card["licence"],
        "library_name": "robsynth",
        "pipeline_tag": TASKS[kind],
        "tags": TAGS[kind],
    }
    if hub:
        found["datasets"] = [hub]
    measured = [figure for figure in card["figures"] if figure["value"] is not None and not figure.get("at")]
    if measured:
        found["metrics"] = list(dict.fromkeys(_hub_metric(figure) for figure in measured))
        result = {
            "task": {"type": TASKS[kind]},
            "dataset": {"name": card["data"]["name"], "type": hub or card["data"]["name"], "split": "test"},
            "metrics": [_indexed(figure) for figure in measured],
        }
        found["model-index"] = [{"name": card["name"], "results": [result]}]
    return found


def _indexed(figure: Mapping[str, Any]) -> dict[str, Any]:
    title = METRICS[figure["metric"]].title
    return {"type": _hub_metric(figure), "name": f"{title}, {figure['protocol']}", "value": figure["value"]}


def _hub_metric(figure: Mapping[str, Any]) -> str:
    return "accuracy" if figure["metric"].endswith("_accuracy") else str(figure["metric"])


def _body(card: Mapping[str, Any]) -> Iterator[str]:
    weights, network, data = card["weights"], card["network"], card["data"]
    yield f"A {card['kind']} of {len(network['classes'])} classes: {_some(network['classes'])}."
    if card.get("copy of"):
        yield f"A copy of `{card['copy of']}`, its parameters in {weights['bits']} bits; figures are the original's."
    yield ""
    yield from _section("Uses", [f"- {line}" for line in card["uses"]])
    yield from _section("Limits", [f"- {line}" for line in card["limits"]])
    figures = [figure for figure in card["figures"] if figure["value"] is not None]
    if figures:
        yield from _section("Figures", [markdown(_figures_table(figures))])
    yield from _section("Warnings", [f"- {line}" for line in card.get("warnings", [])])
    yield from _section("Weights", _facts(weights))
    yield from _section("Network", _facts({key: value for key, value in network.items() if key != "classes"}))
    shown = {key: value for key, value in data.items() if key != "notes"}
    yield from _section("Data", [*_facts(shown), f"- {data['notes']['whose']}"])
    yield from _section("Training", _facts(card["training"]))
    for title in ("epochs", "costs", "run", "seeds"):
        if card.get(title):
            yield from _section(title.capitalize(), _facts(card[title]))
    if card.get("source"):
        yield from _section("Source", [card["source"]])
    if card["protocols"]:
        yield from _section(
            "Protocols", [f"- `{name}`: {_value(details)}" for name, details in card["protocols"].items()]
        )
    yield from _section("Licence", [f"{card['licence'].upper()}, as robsynth; the data's terms are its owners'."])


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _figures_table(figures: list[dict[str, Any]]) -> Table:
    def row(figure: dict[str, Any]) -> list[Cell]:
        at = " ".join(f"{key} {value:g}" for key, value in (figure.get("at") or {}).items())
        return [Cell(METRICS[figure["metric"]].title), Cell(f"`{figure['protocol']}`"), Cell(at), figure_cell(figure),
                Cell(str(figure.get("count", "")))]  # fmt: skip

    return Table("Figures", ["metric", "protocol", "at", "value", "images"], [row(one) for one in figures], words=3)


def _facts(facts: Mapping[str, Any]) -> list[str]:
    return [f"- {key.replace('_', ' ')}: {_value(value)}" for key, value in facts.items() if value is not None]


def _value(value: Any) -> str:
    return str(value) if isinstance(value, str) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _some(names: list[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
