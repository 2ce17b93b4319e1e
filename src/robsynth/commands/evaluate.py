from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robsynth import processes
from robsynth.classifiers import AnyClassifier, open_classifier
from robsynth.config.commands import EvaluateConfig
from robsynth.data import DataSet
from robsynth.errors import RequestError
from robsynth.lab.context import Context, Result, open_context
from robsynth.lab.runner import Cost, Stage, as_result, run_stages
from robsynth.lab.stages.accuracy import accuracy
from robsynth.lab.stages.measuring import evaluation, open_judge, reference_features, through
from robsynth.metrics.accuracy import check_classes, named_threat
from robsynth.metrics.evaluate import Evaluation, images_through
from robsynth.metrics.exported import Exported, load_statistics
from robsynth.progress import say
from robsynth.records.figures import METRICS
from robsynth.records.record import Record
from robsynth.samples import Samples, WithLabels, open_samples


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Samples of any origin, or a classifier, against a data set; what was measured before is not measured again."""
    context = open_context("evaluate", config)
    if not config.has_classifier:
        _look_at_samples(context)
    return run_stages(context, stages(context), answer)


def stages(context: Context) -> list[Stage]:
    config = context.config
    if config.has_classifier:
        subject = str(Path(config.classifier.checkpoint or "").stem or config.classifier.model)
        network, about = _classifier(context)
        threat = named_threat(config.norm, config.metrics, about)
        return [accuracy(context, {subject: ("classifier", lambda _: (network, about))}, threat, name="measure")]
    return [
        *([] if config.statistics else [reference_features(context, len(_samples(context)))]),
        Stage("measure", _measure_samples, _cost_of_samples),
    ]


def _classifier(context: Context) -> tuple[AnyClassifier, dict[str, Any]]:
    """The classifier that the settings name, of which accuracies are those of float32; the run is known by it."""
    data = processes.first_then_others(lambda: context.data)
    context.machine = replace(context.machine, precision="fp32")
    network, about = open_classifier(context.config.classifier, context.images, device=context.machine.device)
    check_classes(about, data, "reference")
    context.depends |= {"classifier": about.get("source"), "data": data.fingerprint}
    context.shared["classifier"] = network
    return network, about


def _samples(context: Context) -> Samples:
    place = context.config.samples
    if place is None:
        raise RequestError(
            "samples: none given, allowed: a sample store, a folder of images, an .npz or .npy file, fidelity:NAME, "
            "or a classifier instead by checkpoint=FILE"
        )
    return context.kept("samples", lambda: open_samples(place))


def _look_at_samples(context: Context) -> None:
    """Open all that is needed, refuse what does not fit, and know the run by what is measured."""
    config, samples = context.config, _samples(context)
    reference = processes.first_then_others(lambda: _reference(context))
    if config.judge and isinstance(reference, Exported):
        raise RequestError("judge: it needs the data set whose classes it knows; allowed: reference=NAME")
    judge = open_judge(context, config.judge) if config.judge else None
    made = Evaluation(config.metrics, context.machine, reference, judge)
    context.shared |= {"evaluation": made, "samples": _labelled(samples, reference)}
    made.refuse(Path(config.samples).name, _samples(context))
    looked_at = _samples(context).inspection
    context.depends |= {"samples": [*looked_at.digests, looked_at.about], "reference": reference.fingerprint}


def _reference(context: Context) -> DataSet | Exported:
    return load_statistics(context.config.statistics) if context.config.statistics else context.data


def _labelled(samples: Samples, reference: DataSet | Exported) -> Samples:
    """Samples with the classes that their folders are named after, if they are."""
    if isinstance(reference, Exported) or samples.wanted is not None or samples.folder_labels is None:
        return samples
    numbers = {name: number for number, name in enumerate(reference.label_names)}
    if not set(samples.folder_labels) <= set(numbers):
        return samples
    return WithLabels(samples, np.array([numbers[name] for name in samples.folder_labels]))


def _measure_samples(context: Context) -> Result:
    measured = evaluation(context)
    figures, exported = measured.measure(Path(context.config.samples).name, _samples(context)), measured.sets.exported
    return {**as_result(figures, measured.warnings), **({"data": exported.as_data()} if exported else {})}


def _cost_of_samples(context: Context) -> Cost:
    config = context.config
    return through(images_through(config.metrics, context.machine, len(_samples(context)), config.judge is not None))


def answer(context: Context, record: Record, written: dict[str, str]) -> dict[str, Any]:
    _show(record.figures)
    return {"figures": record.figures, "protocols": record.protocols, "record": written["record"],
            "report": written["page"]}  # fmt: skip


def _show(figures: list[dict[str, Any]]) -> None:
    for figure in figures:
        if "at" in figure:
            continue
        metric = METRICS[figure["metric"]]
        if figure["value"] is None:
            say(f"{metric.title:<36} {figure['why']}")
            continue
        interval = figure.get("interval")
        within = "" if interval is None else f"[{interval[0]:.{metric.digits}f}, {interval[1]:.{metric.digits}f}]"
        say(f"{metric.title:<36} {figure['value']:>10.{metric.digits}f} {within:<20} {figure['protocol']}")
