from typing import Any

from robsynth.config.commands import Config
from robsynth.errors import RequestError
from robsynth.lab.context import Context, open_context
from robsynth.lab.listening import Listener
from robsynth.lab.runner import Stage, run_stages
from robsynth.lab.stages.accuracy import accuracy
from robsynth.lab.stages.describing import bundle, model_cards, worst
from robsynth.lab.stages.training import RIVAL, train_classifier, train_rival
from robsynth.metrics.accuracy import trained_for
from robsynth.records.record import Record


def run(config: Config, listener: Listener | None = None) -> dict[str, Any]:
    """Train a classifier or the baseline, measure it, and keep a record."""
    if config.model == "baseline" and config.baseline.name == "none":
        raise RequestError("baseline: found none, allowed with model=baseline: wgan_gp")
    context = open_context("train", config, listener, with_data=True)
    return run_stages(context, stages(context), answer)


def stages(context: Context) -> list[Stage]:
    if context.config.model == "baseline":
        return [train_rival(context), model_cards("model card", {RIVAL: RIVAL})]
    threat = trained_for(context.config.adversary, context.config.metrics)
    subjects = {"classifier": ("classifier", lambda context: context.open(context.checkpoint("classifier")))}
    return [
        train_classifier(context),
        accuracy(context, subjects, threat, ("train classifier",)),
        model_cards("model card", {"classifier": "classifier"}),
        bundle(),
    ]


def answer(context: Context, record: Record, written: dict[str, str]) -> dict[str, Any]:
    where = {"record": written["record"], "report": written["page"]}
    card = str(context.directory / context.results["model card"]["files"][0])
    if context.config.model == "baseline":
        return {"checkpoint": str(context.checkpoint(RIVAL)), "card": card, **where}
    bundled = str(context.directory / context.results["bundle"]["bundle"])
    return {"checkpoint": str(context.checkpoint("classifier")), **worst(context), "card": card, "bundle": bundled,
            **where}  # fmt: skip
