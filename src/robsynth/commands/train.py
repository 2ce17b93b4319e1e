from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.classifiers import load_classifier
from robsynth.config import Config, Generation
from robsynth.data import DataSet, load_data
from robsynth.lab.bundle import save_bundle, training_record
from robsynth.lab.cards import describe_training
from robsynth.lab.measuring import as_result
from robsynth.lab.reproduce import make_record
from robsynth.lab.run import Run, inputs_of
from robsynth.lab.trackers import Tracking
from robsynth.lab.training import train_baseline, train_classifier
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.accuracy import measure_accuracy, trained_for
from robsynth.metrics.robustness import open_attacks
from robsynth.records.record import Record
from robsynth.reports import render


def run(config: Config) -> dict[str, Any]:
    """Train a classifier or the baseline, measure it, and keep a record."""
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    open_attacks(config.metrics.attacks)
    data = processes.first_then_others(lambda: load_data(config.dataset))
    this = Run("train", config, inputs_of(config, data, device, precision))
    with this.tracking(config) as tracking:
        return _train(this, config, data, device, precision, tracking)


def _train(
    this: Run, config: Config, data: DataSet, device: torch.device, precision: str, tracking: Tracking
) -> dict[str, Any]:
    where = (config.seed, device, precision, tracking)

    def recorded() -> Record:
        return make_record(this, "train", config, data, device, precision, {name: trained["history"]}, [])

    def describe() -> dict[str, Any]:
        files = describe_training(recorded(), name, name, this.directory / trained["checkpoint"])
        return {"files": [this.relative(file) for file in files]}

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
        accuracies = this.stage("accuracy", lambda: _measure(this, config, checkpoint, data, device))
        more = dict(accuracies["values"])
    more["card"] = str(this.directory / this.stage("model card", describe, alone=True)["files"][0])
    if name == "classifier":
        bundled = this.stage("bundle", lambda: _bundle(this, config, checkpoint, data, more), alone=True)
        more["bundle"] = str(this.directory / bundled["files"][0])

    def finish() -> dict[str, str]:
        record = recorded()
        path = record.save(this.directory)
        tracking.record(record)
        written = render(this.directory, this.directory / "report")
        return {"record": str(path), "report": str(written["page"])}

    return {"checkpoint": str(this.directory / trained["checkpoint"]), **more, **processes.once(finish)}


def _bundle(this: Run, config: Config, checkpoint: str, data: DataSet, accuracies: dict[str, float]) -> dict[str, Any]:
    network, about = load_classifier(this.directory / checkpoint)
    generation = config.tasks["generation"]
    assert isinstance(generation, Generation)
    path = this.directory / "classifier" / "bundle.safetensors"
    training = {**training_record(this.directory / checkpoint), **accuracies}
    found = save_bundle(path, network, about, data, generation, training, this.directory / checkpoint)
    files = [this.relative(file) for file in (path, Path(found.pop("card")))]
    return {**found, "bundle": files[0], "files": files}


def _measure(this: Run, config: Config, checkpoint: str, data: DataSet, device: torch.device) -> dict[str, Any]:
    network, _ = load_classifier(this.directory / checkpoint)
    threat, kept = trained_for(config.adversary, config.metrics), this.directory / "accuracy"
    found = measure_accuracy("classifier", network, data, threat, config.metrics, config.seed, device, kept)
    quoted = [(figure.metric, figure.value or 0.0) for figure in found[0] if figure.at is None]
    # Of several attacks the worst counts.
    values = {metric: min(value for name, value in quoted if name == metric) for metric in dict(quoted)}
    return {**as_result(*found), "values": values}
