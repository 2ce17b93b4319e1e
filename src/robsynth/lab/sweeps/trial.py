"""The side of a sweep that a run sees: how it reports on the way, and is ended where others were better."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from robsynth.errors import Pruned, RequestError
from robsynth.files import read_json
from robsynth.lab.listening import Listener, Rows
from robsynth.lab.sweeps.jobs import TRIAL
from robsynth.samples import Samples, SampleStore
from robsynth.samples.store import first_images

# The training whose history counts.
CLASSIFIER = "classifier"


class PrunedTrial(Listener):
    """Reports to an Optuna study, which may find that the run is not worth going on with.

    What was reported stays so: a run that was killed reports the rest. A decision is taken at each report in turn, so
    it depends neither on how far the run got beyond it nor on a resume.
    """

    def __init__(self, job: Path) -> None:
        from robsynth.lab.sweeps.study import open_study

        about = read_json(job)["trial"]
        self.study = open_study(job.parent / about["journal"], about["better"], about["pruning"])
        self.number, self.task, self.metric = about["number"], about["task"], about["metric"]
        self.column, self.counts = about["pruning"]["history"], sorted(about["pruning"]["images"])

    def history(self, training: str, rows: Rows) -> None:
        for row in rows if training == CLASSIFIER and self.column is not None else ():
            if self.column not in row:
                known = ", ".join(key for key in row if key != "epoch")
                raise RequestError(f"sweep.pruning.history: found {self.column!r}, allowed: {known}")
            self._report(int(row["epoch"]), lambda row=row: row[self.column], "epochs")  # type: ignore[misc]

    def images(self, task: str, store: SampleStore, measure: Callable[[Samples], list[Any]]) -> None:
        for count in self.counts if task == self.task else ():
            if (first := first_images(store, count)) is not None:
                self._report(count, lambda first=first: self._measured(measure(first)), "images")  # type: ignore[misc]

    def _measured(self, figures: list[Any]) -> float:
        found = [figure.value for figure in figures if figure.metric == self.metric and figure.value is not None]
        if not found:
            raise RequestError(f"sweep.pruning.images: {self.metric} of the first images cannot be had")
        return float(found[0])

    def _report(self, step: int, value: Callable[[], float], unit: str) -> None:
        frozen = self.study.trials[self.number]
        if step not in frozen.intermediate_values:
            self.study._storage.set_trial_intermediate_value(frozen._trial_id, step, value())
            frozen = self.study.trials[self.number]
        elif step != frozen.last_step:
            return
        if self.study.pruner.prune(self.study, frozen):
            reached = frozen.intermediate_values[step]
            raise Pruned(f"pruned after {step} {unit} at {reached:.5g}, worse than the median of the finished trials")


@cache
def open_trial() -> Listener:
    """The trial that this process runs, if it does: of a sweep that prunes, which names its job's file."""
    job = os.environ.get(TRIAL)
    return PrunedTrial(Path(job)) if job else Listener()
