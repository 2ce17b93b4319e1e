"""A sweep from end to end; started again it goes on where it was."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from robsynth import __version__
from robsynth.config import SweepConfig
from robsynth.config.commands import COMMON_KEYS
from robsynth.config.compose import load_config, resolved
from robsynth.directories import INCIDENTAL, claim, decisive
from robsynth.errors import RequestError, RunError
from robsynth.files import digest, read_json, write_atomically
from robsynth.lab.sweeps import study as optuna
from robsynth.lab.sweeps.jobs import FILE as JOB
from robsynth.lab.sweeps.jobs import RUN, Job, load_job, save_job
from robsynth.lab.sweeps.launching import launch
from robsynth.lab.sweeps.space import Parameter, Settings, grid, is_sweep, parameter, words_of
from robsynth.progress import say
from robsynth.records.figures import METRICS
from robsynth.records.provenance import git_commit, versions
from robsynth.records.query import parse_wanted
from robsynth.records.record import Record, load_record
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
    parameters: list[Parameter]
    directory: Path

    def __post_init__(self) -> None:
        sweep = self.config.sweep
        # The objective, then what is shown beside it.
        self.wanted = [parse_wanted(sweep.objective, "sweep.objective"),
                       *(parse_wanted(name, "sweep.figures") for name in sweep.figures)]  # fmt: skip
        self.better = "maximize" if METRICS[self.wanted[0].metric].better == "higher" else "minimize"

    def prepare(self) -> None:
        """The trainings that all jobs use."""
        jobs = {self.directory / PREPARE / name: words for name, words in self.config.sweep.prepare.items()}
        self._launch({job: Job("train", self._with_common(words)) for job, words in jobs.items()}, again=True)
        if failed := [job for job in jobs if load_job(job).status != "finished"]:
            raise RunError(f"{failed[0]}: {load_job(failed[0]).error}; what all jobs use could not be prepared")

    def run(self) -> list[Path]:
        """All jobs, to their ends."""
        if self.config.sweep.sampler == "grid":
            return self._run(dict(enumerate(grid(self.parameters))), again=True)
        return self._trials()

    def _trials(self) -> list[Path]:
        """As many trials as are asked for, as many at once as the launcher may run."""
        sweep, at_once = self.config.sweep, self.config.launcher.jobs
        space = {one.key: one.distribution() for one in self.parameters}
        study = optuna.open_study(self.directory / JOURNAL, self.better, asdict(sweep.pruning))
        while True:
            # What a killed sweep left running comes first, with the parameters that it had.
            batch = [trial.number for trial in study.trials if not trial.state.is_finished()][:at_once]
            while len(batch) < at_once and len(study.trials) < (sweep.trials or 0):
                batch.append(len(study.trials))
                optuna.begin(study, optuna.propose(study, batch[-1], space, sweep.seed), space)
            jobs = self._run({number: dict(study.trials[number].params) for number in batch})
            ended = [(number, job) for number, job in zip(batch, jobs, strict=True) if load_job(job).ended]
            for number, job in ended:
                optuna.finish(study, number, load_job(job).status, self._value(job))
            if not batch or len(ended) < len(batch):
                return [job for number in range(len(study.trials)) if ((job := self._job(number)) / JOB).exists()]

    def _run(self, points: dict[int, Settings], again: bool = False) -> list[Path]:
        jobs = {
            self._job(number): Job(self.config.sweep.command, self._words(point), point, self._trial(number))
            for number, point in points.items()
        }
        self._launch(jobs, again)
        return list(jobs)

    def _launch(self, jobs: dict[Path, Job], again: bool = False) -> None:
        for directory, job in jobs.items():
            _make(directory, job, again)
        launch(self.config.launcher, list(jobs), self.directory / SCRATCH)
        for directory in jobs:
            found = load_job(directory)
            settings = " ".join(words_of(found.settings))
            say(f"{directory.name} {settings}: {found.status}{f' ({found.error})' if found.error else ''}")

    def _trial(self, number: int) -> dict[str, Any] | None:
        """What a trial that may be pruned is told."""
        pruning, objective = self.config.sweep.pruning, self.wanted[0]
        if pruning.name == "none":
            return None
        return {"number": number, "journal": f"../../{JOURNAL}", "better": self.better, "metric": objective.metric,
                "task": objective.subject, "pruning": asdict(pruning)}  # fmt: skip

    def _value(self, job: Path) -> float | None:
        figure = self.wanted[0].of(load_record(job / RUN)) if load_job(job).status == "finished" else None
        return figure["value"] if figure and math.isfinite(figure["value"]) else None

    def _job(self, number: int) -> Path:
        return self.directory / JOBS / f"{number:03}"

    def _words(self, settings: Settings) -> list[str]:
        """A job's command line but for its directory; what was prepared stands for its name."""
        found = [*self.words, *words_of(settings), *self._group]
        for name in self.config.sweep.prepare:
            path = self.directory / PREPARE / name / RUN / TRAINED
            found = [word.replace(f"{{{name}}}", str(path)) for word in found]
        return found

    def _with_common(self, words: list[str]) -> list[str]:
        """What is prepared, with the words for the jobs that every command understands."""
        common = [word for word in self.words if _group_of(word) in (*COMMON_KEYS, "tracker")]
        return _last([*words, *common, *self._group])

    @property
    def _group(self) -> list[str]:
        """Trackers keep the runs of a sweep together."""
        named = any(word.startswith("tracker.group=") for word in self.words)
        return [] if named else [f"tracker.group={self.directory.resolve().name}"]

    def record(self, jobs: list[Path]) -> SweepRecord:
        """All that the comparison says, from the jobs' files and records; pictures are copied beside it."""
        sweep = self.config.sweep
        records = {job: load_record(job / RUN) for job in jobs if load_job(job).status == "finished"}
        figures = {job: [one.of(records[job]) if job in records else None for one in self.wanted] for job in jobs}
        first = next(iter(records.values()), None)
        found = SweepRecord(
            sweep=sweep.name, command=sweep.command, sampler=sweep.sampler,
            started=read_json(self.directory / MANIFEST)["started"],
            finished=max((load_job(job).finished or "" for job in jobs), default=""),
            commit=first.commit if first else git_commit(), versions=first.versions if first else versions(),
            machine=first.machine if first else {}, data=first.data if first else {},
            words=_decisive(self.words), prepare=dict(sweep.prepare),
            params=dict(sweep.params), objective=sweep.objective, columns=[sweep.objective, *sweep.figures],
            logarithmic=[one.key for one in self.parameters if one.logarithmic], pruning=asdict(sweep.pruning),
            jobs=[self._about(job, figures[job], records.get(job)) for job in jobs],
            protocols={
                figure["protocol"]: records[job].protocols.get(figure["protocol"], {})
                for job, several in figures.items() for figure in several if figure
            },
        )  # fmt: skip
        try:
            found.best = choose_best(found)
        except RequestError as reason:
            found.no_best = found.no_importance = str(reason)
        else:
            self._weigh(found)
        found.save(self.directory)
        return found

    def _weigh(self, found: SweepRecord) -> None:
        """Which parameter matters."""
        points = [(job["settings"], job["figures"][0]["value"]) for job in found.measured()]
        try:
            optuna.load_optuna()
            space = {one.key: one.distribution(self.config.sweep.sampler == "grid") for one in self.parameters}
            found.importance = optuna.importance(points, space, self.better)
        except RequestError as reason:
            found.no_importance = str(reason)

    def _about(self, job: Path, figures: list[dict[str, Any] | None], record: Record | None) -> dict[str, Any]:
        about = load_job(job)
        kept: dict[str, Any] = {"job": job.name, "status": about.status, "settings": about.settings, "figures": figures}
        if about.error:
            kept["error"] = about.error
        pictures = record.pictures if record is not None else []
        # That of what the objective is about, or else the run's first.
        named = [picture for picture in pictures if picture["name"] == self.wanted[0].subject]
        for picture in [*named, *pictures][:1]:
            kept |= {"picture": f"pictures/{job.name}.png", "caption": picture["caption"]}
            _copy(job / RUN / picture["file"], self.directory / kept["picture"])
        return kept


def _copy(picture: Path, to: Path) -> None:
    content = read_picture(picture)
    write_atomically(to, lambda file: file.write(content))


def open_sweep(config: SweepConfig, words: list[str]) -> SweepRun:
    """The sweep of these settings, in its directory; `words` are those of the command line that are the jobs'.

    Raises
    ------
    RequestError
        If a job's words mean nothing to its command, or the directory belongs to other settings or holds other files.
    """
    config, words = _with_words(config, words)
    if not config.sweep.params:
        raise RequestError("sweep.params: found none, allowed: KEY=a,b,c on the command line, or a sweep that has some")
    settings = decisive(resolved(config))
    # A trial follows from those before it, not from how many there are to be: more may be asked for later.
    del settings["sweep"]["trials"]
    identity = {"command": "sweep", "robsynth": __version__, "config": {**settings, "words": _decisive(words)}}
    name = config.sweep.name
    found = SweepRun(
        config, words, [parameter(key, values) for key, values in config.sweep.params.items()],
        Path(config.out or f"outputs/sweep-{name}-{digest(identity)}"),
    )  # fmt: skip
    _check(found)
    claim(found.directory, MANIFEST, {"sweep": name, "identity": identity}, "a sweep", config.force)
    return found


def _with_words(config: SweepConfig, words: list[str]) -> tuple[SweepConfig, list[str]]:
    """Words with several values are parameters; one with one value stands for a parameter that is none then."""
    params = dict(config.sweep.params)
    rest = []
    for word in words:
        key, _, value = word.partition("=")
        params.pop(key, None)
        if is_sweep(word):
            params[key] = value
        else:
            rest.append(word)
    return replace(config, sweep=replace(config.sweep, params=params)), _last([*config.sweep.words, *rest])


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
    if settings.sampler == "tpe":
        optuna.load_optuna()
        points = [{one.key: one.some() for one in sweep.parameters}]
    else:
        points = grid(sweep.parameters)
    for point in points:
        load_config(settings.command, sweep._words(point))
    for words in settings.prepare.values():
        load_config("train", sweep._with_common(words))


def _make(directory: Path, job: Job, again: bool) -> None:
    """A job's file; of one that has not ended the words, of which some may have changed.

    One that failed is to be run `again`.
    """
    if not (directory / JOB).exists():
        save_job(directory, job)
        return
    found = load_job(directory)
    new = replace(found, status="waiting") if again and found.status == "failed" else found
    if not new.ended:
        new = replace(new, words=job.words)
    if new != found:
        save_job(directory, new)
