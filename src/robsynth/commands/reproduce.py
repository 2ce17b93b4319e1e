from functools import partial
from typing import Any

from robsynth.classifiers import find_checkpoint
from robsynth.config.commands import Config
from robsynth.lab.context import Context, open_context
from robsynth.lab.listening import Listener
from robsynth.lab.runner import Stage, run_stages
from robsynth.lab.stages.accuracy import Subjects, accuracy
from robsynth.lab.stages.describing import draw, model_cards
from robsynth.lab.stages.measuring import (
    REAL,
    has_judge,
    measure,
    measure_at,
    measure_task,
    real_images,
    reference_features,
)
from robsynth.lab.stages.painting import (
    opened,
    points,
    said,
    sample_rival,
    studio_of,
    synthesize,
    synthesize_at,
)  # fmt: skip
from robsynth.lab.stages.training import RIVAL, train_classifier, train_judge, train_rival
from robsynth.metrics.accuracy import trained_for
from robsynth.records.record import Record


def run(config: Config, listener: Listener | None = None) -> dict[str, Any]:
    """An experiment from end to end, every stage once."""
    context = open_context("reproduce", config, listener, with_data=True)
    return run_stages(context, stages(context), answer)


def stages(context: Context) -> list[Stage]:
    config = context.config
    has_rival = config.baseline.name != "none"
    trainings = {
        "classifier": config.classifier.checkpoint is None and config.classifier.model is None,
        "judge": has_judge(context) and config.judge.checkpoint is None,
        RIVAL: has_rival,
    }
    make = {"classifier": train_classifier, "judge": train_judge, RIVAL: train_rival}
    trained = [name for name, wanted in trainings.items() if wanted]
    painter = ("train classifier",) if "classifier" in trained else ()
    judge = ("train judge",) if "judge" in trained else ()
    synthesized = [synthesize(context, task, painter + judge) for task in config.select]
    measured = [measure_task(context, task, partial(opened, name=task), judge) for task in config.select]
    for point in points(context):
        synthesized.append(synthesize_at(context, point, painter))
        measured.append(measure_at(context, point, said(point), partial(opened, name=said(point)), judge))
    if has_rival:
        synthesized.append(sample_rival(context))
        measured.append(measure(context, RIVAL, partial(opened, name=RIVAL), (f"sample {RIVAL}", *judge)))
    described = {name: SUBJECTS.get(name, name) for name in trained}
    return [
        *[make[name](context) for name in trained],
        accuracy(context, _subjects(context), trained_for(config.adversary, config.metrics), painter + judge),
        *synthesized,
        reference_features(context, config.samples.count, judge),
        *measured,
        measure(context, REAL, real_images, judge),
        draw(context, (*judge, *(stage.name for stage in synthesized))),
        *([model_cards("model cards", described)] if described else []),
    ]


# What a training's network is called in figures, where it is not the training's name.
SUBJECTS = {"classifier": "robust classifier"}


def _subjects(context: Context) -> Subjects:
    def studio(context: Context) -> Any:
        found = studio_of(context)
        return found.classifier, found.about

    def judge(context: Context) -> Any:
        given = context.config.judge.checkpoint
        key = "judge.checkpoint"
        return context.open(context.checkpoint("judge") if given is None else find_checkpoint(given, key), key)

    return {"robust classifier": ("classifier", studio), **({"judge": ("judge", judge)} if has_judge(context) else {})}


def answer(context: Context, record: Record, written: dict[str, str]) -> dict[str, Any]:
    return {"experiment": context.config.experiment, "run": str(context.directory), "record": written["record"],
            "report": written["page"], "tables": written["tables"], "figures": record.figures}  # fmt: skip
