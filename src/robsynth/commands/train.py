from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.classifiers import load_classifier
from robsynth.config import Config, Generation
from robsynth.data import DataSet, load_data
from robsynth.machine import resolve_device, resolve_precision
from robsynth.records.trackers import Tracking
from robsynth.runs.bundle import save_bundle, training_record
from robsynth.runs.measuring import as_result
from robsynth.runs.reproduce import make_record
from robsynth.runs.run import Run
from robsynth.runs.training import measure_accuracy, train_baseline, train_classifier


def run(config: Config) -> dict[str, Any]:
    """Train a classifier or the baseline, measure it, and keep a record."""
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    data = processes.first_then_others(lambda: load_data(config.dataset))
    this = Run("train", config, {"precision": precision, "device": device.type, "data": data.fingerprint})
    with this.tracking(config) as tracking:
        return _train(this, config, data, device, precision, tracking)


def _train(
    this: Run, config: Config, data: DataSet, device: torch.device, precision: str, tracking: Tracking
) -> dict[str, Any]:
    where = (config.seed, device, precision, tracking)
    if config.model == "baseline":
        name = config.baseline.name
        trained = this.stage(f"train {name}", lambda: train_baseline(this, config.baseline, data, *where), alone=True)
        more: dict[str, Any] = {}
    else:
        name = "classifier"
        trained = this.stage(
            f"train {name}",
            lambda: train_classifier(
                this, name, config.classifier, config.adversary, config.recipe, data, config.dataset, *where
            ),
        )
        checkpoint = trained["checkpoint"]
        more = dict(
            this.stage("accuracy", lambda: _measure(this, config, checkpoint, data, device), alone=True)["values"]
        )
        bundled = this.stage("bundle", lambda: _bundle(this, config, checkpoint, data, more), alone=True)
        more["bundle"] = str(this.directory / bundled["files"][0])

    def record() -> Path:
        made = make_record(this, "train", config, data, device, precision, {name: trained["history"]}, [])
        tracking.record(made)
        return made.save(this.directory)

    path = processes.once(record)
    return {"checkpoint": str(this.directory / trained["checkpoint"]), **more, "record": str(path)}


def _bundle(this: Run, config: Config, checkpoint: str, data: DataSet, accuracies: dict[str, float]) -> dict[str, Any]:
    network, about = load_classifier(this.directory / checkpoint)
    generation = config.tasks["generation"]
    assert isinstance(generation, Generation)
    path = this.directory / "classifier" / "bundle.safetensors"
    training = {**training_record(this.directory / checkpoint), **accuracies}
    found = save_bundle(path, network, about, data, generation, training)
    return {**found, "bundle": this.relative(path), "files": [this.relative(path)]}


def _measure(this: Run, config: Config, checkpoint: str, data: DataSet, device: torch.device) -> dict[str, Any]:
    network, _ = load_classifier(this.directory / checkpoint)
    figures = measure_accuracy("classifier", network, data, config.adversary, config.metrics, config.seed, device)
    return {**as_result(figures), "values": {figure.metric: figure.value for figure in figures}}
