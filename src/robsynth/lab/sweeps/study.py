"""Optuna's part: which parameters next, which trial to end, which parameter matters."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robsynth.errors import RequestError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

# Below so many finished jobs a forest says nothing.
FEWEST = 4


def load_optuna() -> Any:
    """Optuna, or a RequestError that says how to have it."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise RequestError("Optuna is missing; allowed: pip install 'robsynth[sweeps]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_study(journal: Path, better: str, pruning: Mapping[str, Any]) -> "Study":
    """The study in a journal, made if there is none; processes on other machines may share the file."""
    optuna = load_optuna()
    from optuna.storages.journal import JournalFileBackend

    pruner = optuna.pruners.NopPruner()
    if pruning["name"] == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=pruning["startup"], n_warmup_steps=pruning["warmup"])
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(
        storage=storage, study_name="sweep", load_if_exists=True, pruner=pruner, direction=better
    )


def propose(study: "Study", number: int, space: "dict[str, BaseDistribution]", seed: int) -> dict[str, Any]:
    """The parameters of trial `number`, which follow from the seed and from the trials before it.

    So a sweep that was killed proposes what it would have proposed. Tree-structured Parzen estimator (Bergstra et al.,
    2011), multivariate; trials that still run count as bad, so that others try something else.
    """
    optuna = load_optuna()
    digest = hashlib.sha256(repr((seed, "trial", number)).encode()).digest()
    sampler = optuna.samplers.TPESampler(
        seed=int.from_bytes(digest[:4], "little"), multivariate=True, constant_liar=True, n_startup_trials=5
    )
    rehearsal = optuna.create_study(direction=study.direction, sampler=sampler)
    rehearsal.add_trials(study.trials[:number])
    return dict(rehearsal.ask(space).params)


def begin(study: "Study", parameters: dict[str, Any], space: "dict[str, BaseDistribution]") -> None:
    """Add a trial that runs with these parameters, in one entry of the journal."""
    optuna = load_optuna()
    running = optuna.trial.TrialState.RUNNING
    study.add_trial(optuna.trial.create_trial(state=running, params=parameters, distributions=space))


def finish(study: "Study", number: int, status: str, value: float | None) -> None:
    """Tell how a trial ended, unless that is known; a finished one without its figure counts as failed."""
    states = load_optuna().trial.TrialState
    if study.trials[number].state.is_finished():
        return
    if status == "finished" and value is not None:
        study.tell(number, value)
    else:
        study.tell(number, state=states.PRUNED if status == "pruned" else states.FAIL)


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
