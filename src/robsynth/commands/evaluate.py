from pathlib import Path
from typing import Any

import numpy as np

from robsynth import processes
from robsynth.config import EvaluateConfig
from robsynth.data import DataSet, load_data
from robsynth.errors import RequestError
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.exported import Exported, load_statistics
from robsynth.metrics.extractors import load_plugins
from robsynth.metrics.figures import METRICS
from robsynth.progress import say
from robsynth.reports import render
from robsynth.runs.measuring import as_result, open_evaluation
from robsynth.runs.reproduce import make_record
from robsynth.runs.run import Run
from robsynth.samples import Samples, WithLabels, inspect, open_samples


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Samples of any origin against a data set, or against its statistics; the same samples are measured once."""
    if config.samples is None:
        raise RequestError(
            "samples: none given, allowed: a sample store, a folder of images, an .npz or .npy file, or fidelity:NAME"
        )
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    reference = processes.first_then_others(lambda: _reference(config))
    data, exported = (None, reference) if isinstance(reference, Exported) else (reference, None)
    load_plugins(config.metrics.plugins)
    samples = open_samples(config.samples)
    judge = Path(config.judge) if config.judge else None
    evaluation = open_evaluation(config.metrics, device, precision, data, exported, judge)
    samples = _labelled(samples, data)
    looked_at = inspect(samples)
    content = {"samples": [*looked_at.digests, looked_at.about], "precision": precision,
               "reference": reference.fingerprint}  # fmt: skip
    this = Run("evaluate", config, content)
    name = Path(config.samples).name
    result = this.stage("measure", lambda: as_result(evaluation.measure(name, samples), evaluation.warnings))
    about = reference.as_data() if isinstance(reference, Exported) else reference

    def finish() -> dict[str, str]:
        record = make_record(this, "evaluate", config, about, device, precision, {}, [])
        path = record.save(this.directory)
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
        metric = METRICS[figure["metric"]]
        if figure["value"] is None:
            say(f"{metric.title:<36} {figure['why']}")
            continue
        interval = figure.get("interval")
        within = "" if interval is None else f"[{interval[0]:.{metric.digits}f}, {interval[1]:.{metric.digits}f}]"
        say(f"{metric.title:<36} {figure['value']:>10.{metric.digits}f} {within:<20} {figure['protocol']}")
