from typing import Any

from robsynth import processes
from robsynth.config import Config
from robsynth.lab.reproduce import Reproduction, open_reproduction
from robsynth.machine import resolve_device, resolve_precision
from robsynth.reports import render


def run(config: Config) -> dict[str, Any]:
    """An experiment from end to end, every stage once."""
    device = resolve_device(config.device)
    experiment = open_reproduction(config, device, resolve_precision(config.precision, device))
    with experiment.tracking:
        experiment.train()
        experiment.measure_accuracies()
        experiment.synthesize()
        experiment.measure()
        listed = experiment.draw()
        experiment.describe()
        return processes.once(lambda: _finish(experiment, listed))


def _finish(experiment: Reproduction, listed: list[dict[str, str]]) -> dict[str, Any]:
    """The record of what was done, and the report that is rendered from it."""
    directory = experiment.run.directory
    record = experiment.record(listed)
    path = record.save(directory)
    experiment.tracking.record(record)
    written = render(directory, directory / "report")
    return {
        "experiment": experiment.config.experiment,
        "run": str(directory),
        "record": str(path),
        "report": str(written["page"]),
        "tables": str(written["tables"]),
        "figures": record.figures,
    }
