"""Optuna's part: which parameters next, which trial to end, which parameter matters."""

import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from robsynth.errors import Pruned, RequestError
from robsynth.files import read_json
from robsynth.lab.listening import Listener, Rows
from robsynth.lab.sweeps.jobs import TRIAL
from robsynth.lab.sweeps.space import is_logarithmic, values
from robsynth.randomness import generator
from robsynth.samples import Samples, SampleStore
from robsynth.samples.store import first_images

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

# Below so many finished jobs a forest says nothing.
FEWEST = 4
# The training whose history counts.
CLASSIFIER = "classifier"


def load_optuna() -> Any:
    """Optuna, or a RequestError that says how to have it."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise RequestError("Optuna is missing; allowed: pip install 'robsynth[sweeps]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def distribution(one: Override, of_grid: bool = False) -> "BaseDistribution":
    """What Optuna draws a parameter from, or the values that it has in a grid."""
    draw = load_optuna().distributions
    sweep: Any = one.value()
    more: dict[str, Any]
    if of_grid or isinstance(sweep, ChoiceSweep):
        return draw.CategoricalDistribution(values(one))
    if isinstance(sweep, IntervalSweep):
        points, more = [sweep.start, sweep.end], {"log": is_logarithmic(one)}
    elif is_logarithmic(one):
        raise RequestError(f"{one.key_or_group}: a range is not logarithmic for sampler=tpe; allowed: choice, interval")
    else:
        points, more = values(one), {"step": sweep.step}
    whole = all(isinstance(point, int) for point in points)
    return (draw.IntDistribution if whole else draw.FloatDistribution)(points[0], points[-1], **more)


def open_study(journal: Path, better: str) -> "Study":
    """The study in a journal, made if there is none; processes on other machines may share the file."""
    optuna = load_optuna()
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True, direction=better)


def begin(study: "Study", space: "dict[str, BaseDistribution]", seed: int) -> int:
    """Add the next trial, in one entry of the journal, and give its number.

    Its parameters follow from the seed and from the trials before it: so a sweep that was killed goes on with what it
    would have tried. Tree-structured Parzen estimator (Bergstra et al., 2011), multivariate; trials that still run
    count as bad, so that others try something else.
    """
    optuna, before = load_optuna(), study.trials
    seed = generator(seed, "trial", len(before)).initial_seed() % 2**32
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=5)
    rehearsal = optuna.create_study(direction=study.direction, sampler=sampler)
    rehearsal.add_trials(before)
    parameters, running = rehearsal.ask(space).params, optuna.trial.TrialState.RUNNING
    study.add_trial(optuna.trial.create_trial(state=running, params=parameters, distributions=space))
    return len(before)


def finish(study: "Study", number: int, status: str, value: float | None) -> None:
    """Tell how a trial ended, unless that is known; a finished one without its figure counts as failed."""
    states = load_optuna().trial.TrialState
    if status == "finished" and value is not None:
        study.tell(number, value, skip_if_finished=True)
    else:
        study.tell(number, state=states.PRUNED if status == "pruned" else states.FAIL, skip_if_finished=True)


def importance(
    points: Sequence[tuple[dict[str, Any], float]], space: "dict[str, BaseDistribution]", better: str
) -> dict[str, float]:
    """How much of the objective's variance each parameter explains (fANOVA, Hutter et al., 2014), from a forest.

    Raises
    ------
    RequestError
        If that cannot be known: too few points, one parameter, or no difference.
    """
    if len(space) < 2:
        raise RequestError("one parameter has all of it")
    if len(points) < FEWEST:
        raise RequestError(f"{len(points)} finished jobs are too few, it takes {FEWEST}")
    if len({value for _, value in points}) < 2:
        raise RequestError("all jobs have the same figure")
    optuna = load_optuna()
    study = optuna.create_study(direction=better)
    for parameters, value in points:
        study.add_trial(optuna.trial.create_trial(value=value, params=parameters, distributions=space))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(space))
    return {key: round(float(found[key]), 4) for key in space}


class PrunedTrial(Listener):
    """Reports to an Optuna study, which may find that the run is not worth going on with.

    What was reported stays so: a run that was killed reports the rest. A decision is taken at each report in turn, so
    it depends neither on how far the run got beyond it nor on a resume.
    """

    def __init__(self, job: Path) -> None:
        about = read_json(job)["trial"]
        self.number, self.task, self.metric, pruning = (about[key] for key in ("number", "task", "metric", "pruning"))
        self.column, self.counts = pruning["history"], sorted(pruning["images"])
        self.study = open_study(job.parent / about["journal"], about["better"])
        self.pruner = load_optuna().pruners.MedianPruner(pruning["startup"], pruning["warmup"])

    def history(self, training: str, rows: Rows) -> None:
        for row in rows if training == CLASSIFIER and self.column is not None else ():
            if self.column not in row:
                known = ", ".join(key for key in row if key != "epoch")
                raise RequestError(f"sweep.pruning.history: found {self.column!r}, allowed: {known}")
            self._report(int(row["epoch"]), "epochs", partial(row.__getitem__, self.column))

    def images(self, task: str, store: SampleStore, measure: Callable[[Samples], list[Any]]) -> None:
        for count in self.counts if task == self.task else ():
            if (first := first_images(store, count)) is not None:
                self._report(count, "images", partial(self._measured, measure, first))

    def _measured(self, measure: Callable[[Samples], list[Any]], first: Samples) -> float:
        for figure in measure(first):
            if figure.metric == self.metric and figure.value is not None:
                return float(figure.value)
        raise RequestError(f"sweep.pruning.images: {self.metric} of the first images cannot be had")

    def _report(self, step: int, unit: str, value: Callable[[], float]) -> None:
        """Of the first `step` epochs or images, unless it was reported before."""
        frozen = self.study.trials[self.number]
        if step not in frozen.intermediate_values:
            self.study._storage.set_trial_intermediate_value(frozen._trial_id, step, value())
            frozen = self.study.trials[self.number]
        elif step != frozen.last_step:
            return
        if self.pruner.prune(self.study, frozen):
            reached = frozen.intermediate_values[step]
            raise Pruned(f"pruned after {step} {unit} at {reached:.5g}, worse than the median of the finished trials")


def open_trial() -> Listener:
    """The trial that this process runs, if it does: of a sweep that prunes, which names its job's file."""
    job = os.environ.get(TRIAL)
    return PrunedTrial(Path(job)) if job else Listener()
