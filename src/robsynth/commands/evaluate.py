from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robsynth import processes
from robsynth.classifiers import find_checkpoint, open_classifier
from robsynth.config import EvaluateConfig
from robsynth.data import DataSet, load_data
from robsynth.data.normalisation import normalisation
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.measuring import as_result, open_evaluation
from robsynth.lab.reproduce import make_record
from robsynth.lab.run import Run
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.accuracy import check_classes, measure_accuracy, named_threat
from robsynth.metrics.exported import Exported, load_statistics
from robsynth.metrics.extractors import load_plugins
from robsynth.metrics.robustness import open_attacks
from robsynth.progress import say
from robsynth.records.figures import METRICS
from robsynth.reports import render
from robsynth.samples import Samples, WithLabels, inspect, open_samples


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Samples of any origin, or a classifier, against a data set; what was measured before is not measured again."""
    device = resolve_device(config.device)
    if config.has_classifier:
        return _measure_classifier(config, device)
    if config.samples is None:
        raise RequestError(
            "samples: none given, allowed: a sample store, a folder of images, an .npz or .npy file, fidelity:NAME, "
            "or a classifier instead by checkpoint=FILE"
        )
    return _measure_samples(config, config.samples, device)


def _measure_samples(config: EvaluateConfig, place: str, device: torch.device) -> dict[str, Any]:
    precision = resolve_precision(config.precision, device)
    reference = processes.first_then_others(lambda: _reference(config))
    data, exported = (None, reference) if isinstance(reference, Exported) else (reference, None)
    load_plugins(config.metrics.plugins)
    samples = open_samples(place)
    judge = Path(config.judge) if config.judge else None
    evaluation = open_evaluation(config.metrics, device, precision, data, exported, judge)
    samples = _labelled(samples, data)
    looked_at = inspect(samples)
    content = {"samples": [*looked_at.digests, looked_at.about], "precision": precision,
               "reference": reference.fingerprint}  # fmt: skip
    about = reference.as_data() if isinstance(reference, Exported) else reference

    def work() -> dict[str, Any]:
        return as_result(evaluation.measure(Path(place).name, samples), evaluation.warnings)

    return _measured(config, Run("evaluate", config, content), work, about, device, precision)


def _measure_classifier(config: EvaluateConfig, device: torch.device) -> dict[str, Any]:
    open_attacks(config.metrics.attacks)
    data, named = processes.first_then_others(lambda: load_data(config.reference)), config.classifier
    mean, std = normalisation(data, config.reference)
    network, about = open_classifier(named, data.name, data.label_names, data.shape, mean, std)
    check_classes(about, data, "reference")
    threat = named_threat(config.norm, config.metrics, about)
    file = named.checkpoint and find_checkpoint(named.checkpoint)
    subject = str(Path(named.checkpoint or "").stem or named.model)
    content = {"classifier": file_sha1(file) if file else about["source"], "data": data.fingerprint}
    this = Run("evaluate", config, content)

    def work() -> dict[str, Any]:
        kept = this.directory / "accuracy"
        return as_result(*measure_accuracy(subject, network, data, threat, config.metrics, config.seed, device, kept))

    return _measured(config, this, work, data, device, "fp32")


def _measured(
    config: EvaluateConfig, this: Run, work: Callable[[], dict[str, Any]], about: DataSet | dict[str, Any],
    device: torch.device, precision: str,
) -> dict[str, Any]:  # fmt: skip
    """Measure, once in the run's life, and leave record and report."""
    with this.tracking(config) as tracking:
        result = this.stage("measure", work)

        def finish() -> dict[str, str]:
            record = make_record(this, "evaluate", config, about, device, precision, {}, [])
            path = record.save(this.directory)
            tracking.record(record)
            _show(record.figures)
            written = render(this.directory, this.directory / "report")
            return {"record": str(path), "report": str(written["page"])}

        return {"figures": result["figures"], "protocols": result["protocols"], **processes.once(finish)}


def _reference(config: EvaluateConfig) -> DataSet | Exported:
    return load_statistics(config.statistics) if config.statistics else load_data(config.reference)


def _labelled(samples: Samples, data: DataSet | None) -> Samples:
    """Samples with the classes that their folders are named after, if they are."""
    if data is None or samples.wanted is not None or samples.folder_labels is None:
        return samples
    numbers = {name: number for number, name in enumerate(data.label_names)}
    if not set(samples.folder_labels) <= set(numbers):
        return samples
    return WithLabels(samples, np.array([numbers[name] for name in samples.folder_labels]))


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
