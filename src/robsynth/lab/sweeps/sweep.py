"""A sweep from end to end; started again it goes on where it was."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from robsynth import __version__
from robsynth.config.commands import COMMON_KEYS, SweepConfig
from robsynth.config.compose import load_config, resolved
from robsynth.directories import INCIDENTAL, claim, decisive
from robsynth.errors import RequestError, RunError
from robsynth.files import digest, read_json, write_bytes
from robsynth.lab.sweeps import study as optuna
from robsynth.lab.sweeps.jobs import JOB, RUN, Job, load_job, save_job
from robsynth.lab.sweeps.launching import launch
from robsynth.lab.sweeps.space import grid, is_logarithmic, parameter, parsed, words_of
from robsynth.progress import say
from robsynth.records.figures import METRICS
from robsynth.records.provenance import git_commit, versions
from robsynth.records.query import parse_wanted
from robsynth.records.record import load_record
from robsynth.records.sweep import SweepRecord, choose_best
from robsynth.reports.render import read_picture

MANIFEST, JOURNAL, JOBS, PREPARE, SCRATCH = "sweep.json", "journal.log", "jobs", "prepare", "launcher"
TRAINED = "classifier/classifier.safetensors"
# Words for the jobs with which a sweep may go on; a run keeps to its device and precision.
FREE = {*INCIDENTAL} - {"device", "precision"}


@dataclass
class SweepRun:
    """A sweep's directory, and what is asked of its jobs."""

    config: SweepConfig
    words: list[str]
    parameters: dict[str, Override]
    directory: Path

    def __post_init__(self) -> None:
        sweep = self.config.sweep
        # The objective, then what is shown beside it.
        self.wanted = [parse_wanted(sweep.objective, "sweep.objective"),
                       *(parse_wanted(name, "sweep.figures") for name in sweep.figures)]  # fmt: skip
        self.better = "maximize" if METRICS[self.wanted[0].metric].better == "higher" else "minimize"
        # Trackers keep the runs of a sweep together.
        self.words = _last([f"tracker.group={self.directory.resolve().name}", *self.words])
        # What is prepared has the words for the jobs that every command understands.
        common = [word for word in self.words if _group_of(word) in (*COMMON_KEYS, "tracker")]
        self.trainings = {name: _last([*words, *common]) for name, words in sweep.prepare.items()}

    @property
    def space(self) -> dict[str, Any]:
        """What Optuna draws from; of a grid its values."""
        grid = self.config.sweep.sampler == "grid"
        return {key: optuna.distribution(one, grid) for key, one in self.parameters.items()}

    def run(self) -> SweepRecord:
        """All jobs to their ends, after the trainings that they use, and what they come to."""
        trainings = {self.directory / PREPARE / name: Job("train", words) for name, words in self.trainings.items()}
        for path, job in self._launch(trainings).items():
            if job.status != "finished":
                raise RunError(f"{path}: {job.error}; what all jobs use could not be prepared")
        if self.config.sweep.sampler == "grid":
            self._run(dict(enumerate(grid(self.parameters))))
        else:
            self._trials()
        return self._record()

    def _trials(self) -> None:
        """As many trials as are asked for, as many at once as the launcher may run."""
        sweep, at_once = self.config.sweep, self.config.launcher.jobs
        study = optuna.open_study(self.directory / JOURNAL, self.better)
        going_on = True
        while going_on:
            # What a killed sweep left running comes first, with the parameters that it had.
            batch = [trial.number for trial in study.trials if not trial.state.is_finished()][:at_once]
            while len(batch) < at_once and len(study.trials) < (sweep.trials or 0):
                batch.append(optuna.begin(study, self.space, sweep.seed))
            jobs = self._run({number: dict(study.trials[number].params) for number in batch})
            for number, (path, job) in zip(batch, jobs.items(), strict=True):
                if job.ended:
                    figure = self.wanted[0].of(load_record(path / RUN)) if job.status == "finished" else None
                    value = figure["value"] if figure and math.isfinite(figure["value"]) else None
                    optuna.finish(study, number, job.status, value)
            going_on = bool(batch) and all(job.ended for job in jobs.values())

    def _run(self, points: dict[int, dict[str, Any]]) -> dict[Path, Job]:
        sweep, objective = self.config.sweep, self.wanted[0]
        told: dict[str, Any] | None = None
        if sweep.pruning.name != "none":
            told = {"journal": f"../../{JOURNAL}", "better": self.better, "metric": objective.metric,
                    "task": objective.subject, "pruning": asdict(sweep.pruning)}  # fmt: skip
        jobs = {
            self.directory / JOBS / f"{number:03}":
                Job(sweep.command, self._words(point), point, told and {"number": number, **told})
            for number, point in points.items()
        }  # fmt: skip
        return self._launch(jobs)

    def _launch(self, jobs: dict[Path, Job]) -> dict[Path, Job]:
        """The jobs in these directories, and how they ended."""
        for path, job in jobs.items():
            _make(path, job)
        launch(self.config.launcher, list(jobs), self.directory / SCRATCH)
        ended = {path: load_job(path) for path in jobs}
        for path, job in ended.items():
            settings = " ".join(words_of(job.settings))
            say(f"{path.name} {settings}: {job.status}{f' ({job.error})' if job.error else ''}")
        return ended

    def _words(self, settings: dict[str, Any]) -> list[str]:
        """A job's command line but for its directory; what was prepared stands for its name."""
        found = [*self.words, *words_of(settings)]
        for name in self.trainings:
            path = self.directory / PREPARE / name / RUN / TRAINED
            found = [word.replace(f"{{{name}}}", str(path)) for word in found]
        return found

    def _record(self) -> SweepRecord:
        """All that the comparison says, from the jobs' files and records; pictures are copied beside it."""
        sweep, settings = self.config.sweep, asdict(self.config.sweep)
        paths = [file.parent for file in (self.directory / JOBS).glob(f"*/{JOB}")]
        jobs = {path: load_job(path) for path in sorted(paths, key=lambda path: int(path.name))}
        records = {path: load_record(path / RUN) for path, job in jobs.items() if job.status == "finished"}
        figures = {path: [one.of(records[path]) if path in records else None for one in self.wanted] for path in jobs}
        first = next(iter(records.values()), None)
        found = SweepRecord(
            sweep=sweep.name, **{key: settings[key] for key in ("command", "sampler", "prepare", "params", "pruning")},
            started=read_json(self.directory / MANIFEST)["started"],
            finished=max((job.finished or "" for job in jobs.values()), default=""),
            commit=first.commit if first else git_commit(), versions=first.versions if first else versions(),
            machine=first.machine if first else {}, data=first.data if first else {}, words=_decisive(self.words),
            objective=sweep.objective, columns=[sweep.objective, *sweep.figures],
            logarithmic=[key for key, one in self.parameters.items() if is_logarithmic(one)],
            jobs=[{"job": path.name, "status": job.status, "settings": job.settings, "figures": figures[path],
                   **({"error": job.error} if job.error else {})} for path, job in jobs.items()],
            protocols={
                figure["protocol"]: records[path].protocols.get(figure["protocol"], {})
                for path, several in figures.items() for figure in several if figure
            },
        )  # fmt: skip
        for path, record in records.items():
            # That of what the objective is about, or else the run's first.
            for picture in sorted(record.pictures, key=lambda picture: picture["name"] != self.wanted[0].subject)[:1]:
                copy = f"pictures/{path.name}.png"
                write_bytes(self.directory / copy, read_picture(path / RUN / picture["file"]))
                found.job(path.name).update(picture=copy, caption=picture["caption"])
        try:
            found.best = choose_best(found)
            points = [(job["settings"], job["figures"][0]["value"]) for job in found.measured()]
            found.importance = optuna.importance(points, self.space, self.better)
        except RequestError as reason:
            found.no_best = None if found.best else str(reason)
            found.no_importance = str(reason)
        found.save(self.directory)
        return found


def open_sweep(config: SweepConfig, words: list[str]) -> SweepRun:
    """The sweep of these settings, in its directory; `words` are those of the command line that are the jobs'.

    Words with several values are parameters; one with one value stands for a parameter that is none then.

    Raises
    ------
    RequestError
        If a job's words mean nothing to its command, or the directory belongs to other settings or holds other files.
    """
    params, common = dict(config.sweep.params), list(config.sweep.words)
    for word in words:
        key, _, value = word.partition("=")
        params.pop(key, None)
        if parsed(word).is_sweep_override():
            params[key] = value
        else:
            common.append(word)
    if not params:
        raise RequestError("sweep.params: found none, allowed: KEY=a,b,c on the command line, or a sweep that has some")
    config, common = replace(config, sweep=replace(config.sweep, params=params)), _last(common)
    settings = decisive(resolved(config))
    # A trial follows from those before it, not from how many there are to be: more may be asked for later.
    del settings["sweep"]["trials"]
    identity = {"command": "sweep", "robsynth": __version__, "config": {**settings, "words": _decisive(common)}}
    name = config.sweep.name
    parameters = {key: parameter(key, values) for key, values in params.items()}
    found = SweepRun(config, common, parameters, Path(config.out or f"outputs/sweep-{name}-{digest(identity)}"))
    _check(found)
    claim(found.directory, MANIFEST, {"sweep": name, "identity": identity}, "a sweep", config.force)
    return found


def _last(words: list[str]) -> list[str]:
    """The words without those whose key comes again."""
    return list({word.partition("=")[0]: word for word in words}.values())


def _group_of(word: str) -> str:
    return word.split("=")[0].split(".")[0]


def _decisive(words: list[str]) -> list[str]:
    return [word for word in words if _group_of(word) not in FREE]


def _check(sweep: SweepRun) -> None:
    """Refuse what the jobs would refuse, before any of them begins."""
    settings = sweep.config.sweep
    if settings.pruning.images and sweep.wanted[0].subject is None:
        raise RequestError(f"sweep.objective: found {settings.objective}, allowed with pruning.images: TASK/METRIC")
    if settings.sampler == "grid":
        points = grid(sweep.parameters)
    else:
        points = [{key: one.choices[0] if hasattr(one, "choices") else one.low for key, one in sweep.space.items()}]
    for point in points:
        load_config(settings.command, sweep._words(point))
    for words in sweep.trainings.values():
        load_config("train", words)


def _make(directory: Path, job: Job) -> None:
    """A job's file; of one that has not ended the words, of which some may have changed. One that failed runs again."""
    found = load_job(directory) if (directory / JOB).exists() else None
    if found is not None:
        status = "waiting" if found.status == "failed" else found.status
        job = found if status in ("finished", "pruned") else replace(found, words=job.words, status=status)
    if job != found:
        save_job(directory, job)
