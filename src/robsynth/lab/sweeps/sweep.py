"""A sweep from end to end; started again it goes on where it was."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from robsynth import __version__
from robsynth.config import SweepConfig
from robsynth.config.commands import COMMON_KEYS
from robsynth.config.compose import load_config, resolved
from robsynth.errors import RequestError, RunError
from robsynth.files import digest, read_json, writable_directory, write_atomically, write_json
from robsynth.lab.run import clear, difference, now
from robsynth.lab.sweeps import study as optuna
from robsynth.lab.sweeps.jobs import FILE as JOB
from robsynth.lab.sweeps.jobs import RUN, Job, load_job, save_job
from robsynth.lab.sweeps.launching import launch
from robsynth.lab.sweeps.space import Parameter, Settings, grid, is_sweep, parameter, words_of
from robsynth.progress import say
from robsynth.records.provenance import git_commit, versions
from robsynth.records.query import Wanted, parse_wanted
from robsynth.records.record import Record, load_record
from robsynth.records.sweep import SweepRecord, choose_best
from robsynth.reports.render import read_picture

MANIFEST, JOURNAL, JOBS, PREPARE, SCRATCH = "sweep.json", "journal.log", "jobs", "prepare", "launcher"
# What changes no job.
INCIDENTAL = ("out", "force", "debug", "launcher")
TRAINED = "classifier/classifier.safetensors"


@dataclass
class SweepRun:
    """A sweep's directory, and what is asked of its jobs."""

    config: SweepConfig
    words: list[str]
    parameters: list[Parameter]
    directory: Path

    @property
    def wanted(self) -> list[Wanted]:
        """The objective, then what is shown beside it."""
        return [parse_wanted(self.config.sweep.objective, "sweep.objective"),
                *(parse_wanted(name, "sweep.figures") for name in self.config.sweep.figures)]  # fmt: skip

    @property
    def better(self) -> str:
        return optuna.direction(self.wanted[0].metric)

    def prepare(self) -> None:
        """The trainings that all jobs use."""
        jobs = [self.directory / PREPARE / name for name in self.config.sweep.prepare]
        for directory, words in zip(jobs, self.config.sweep.prepare.values(), strict=True):
            _make(directory, Job("train", _last([*words, *self._common, *self._group])), again=True)
        self._launch(jobs)
        if failed := [job for job in jobs if load_job(job).status != "finished"]:
            raise RunError(f"{failed[0]}: {load_job(failed[0]).error}; what all jobs use could not be prepared")

    def run(self) -> list[Path]:
        """All jobs, to their ends."""
        return self._grid() if self.config.sweep.sampler == "grid" else self._trials()

    def _grid(self) -> list[Path]:
        jobs = []
        for number, settings in enumerate(grid(self.parameters)):
            jobs.append(self._job(number))
            _make(jobs[-1], Job(self.config.sweep.command, self._words(settings), settings), again=True)
        self._launch(jobs)
        return jobs

    def _trials(self) -> list[Path]:
        """As many trials as are asked for, as many at once as the launcher may run."""
        sweep, space = self.config.sweep, {one.key: one.distribution() for one in self.parameters}
        study = optuna.open_study(self.directory / JOURNAL, self.better, asdict(sweep.pruning))
        while True:
            # What a killed sweep left running comes first, with the parameters that it had.
            batch = [trial.number for trial in study.trials if not trial.state.is_finished()][
                : self.config.launcher.jobs
            ]
            while len(batch) < self.config.launcher.jobs and len(study.trials) < (sweep.trials or 0):
                batch.append(len(study.trials))
                optuna.begin(study, optuna.propose(study, batch[-1], space, sweep.seed), space)
            if not batch:
                break
            for number in batch:
                settings = dict(study.trials[number].params)
                _make(self._job(number), Job(sweep.command, self._words(settings), settings, self._trial(number)))
            self._launch([self._job(number) for number in batch])
            ended = [number for number in batch if load_job(self._job(number)).ended]
            for number in ended:
                optuna.finish(study, number, load_job(self._job(number)).status, self._value(self._job(number)))
            if len(ended) < len(batch):
                break
        return [self._job(number) for number in range(len(study.trials)) if (self._job(number) / JOB).exists()]

    def _trial(self, number: int) -> dict[str, Any] | None:
        pruning = asdict(self.config.sweep.pruning)
        if pruning["name"] == "none":
            return None
        metric, task = self.wanted[0].metric, self.wanted[0].subject
        return {"number": number, "journal": f"../../{JOURNAL}", "better": self.better, "metric": metric, "task": task,
                "pruning": pruning}  # fmt: skip

    def _value(self, job: Path) -> float | None:
        figure = self.wanted[0].of(_record(job)) if load_job(job).status == "finished" else None
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

    @property
    def _group(self) -> list[str]:
        """Trackers keep the runs of a sweep together."""
        named = any(word.startswith("tracker.group=") for word in self.words)
        return [] if named else [f"tracker.group={self.directory.resolve().name}"]

    @property
    def _common(self) -> list[str]:
        """Words that every command understands hold for what is prepared, too."""
        return [word for word in self.words if _group_of(word) in (*COMMON_KEYS, "tracker")]

    def _launch(self, jobs: list[Path]) -> None:
        launch(self.config.launcher, jobs, self.directory / SCRATCH)
        for job in jobs:
            found = load_job(job)
            settings = " ".join(words_of(found.settings))
            say(f"{job.name} {settings}: {found.status}{f' ({found.error})' if found.error else ''}")

    def record(self, jobs: list[Path]) -> SweepRecord:
        """All that the comparison says, from the jobs' files and records; pictures are copied beside it."""
        sweep, wanted = self.config.sweep, self.wanted
        records = {job: _record(job) for job in jobs if load_job(job).status == "finished"}
        first = next(iter(records.values()), None)
        figures = {job: [one.of(records[job]) if job in records else None for one in wanted] for job in jobs}
        found = SweepRecord(
            sweep=sweep.name, command=sweep.command, sampler=sweep.sampler,
            started=read_json(self.directory / MANIFEST)["started"],
            finished=max((load_job(job).finished or "" for job in jobs), default=""),
            commit=first.commit if first else git_commit(), versions=first.versions if first else versions(),
            machine=first.machine if first else {}, data=first.data if first else {},
            words=[word for word in self.words if _group_of(word) != "tracker"], prepare=dict(sweep.prepare),
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
            grid_of = self.config.sweep.sampler == "grid"
            space = {one.key: one.choices() if grid_of else one.distribution() for one in self.parameters}
            found.importance = optuna.importance(points, space, self.better)
        except RequestError as reason:
            found.no_importance = str(reason)

    def _about(self, job: Path, figures: list[dict[str, Any] | None], record: Record | None) -> dict[str, Any]:
        about = load_job(job)
        kept: dict[str, Any] = {"job": job.name, "status": about.status, "settings": about.settings, "figures": figures}
        if about.error:
            kept["error"] = about.error
        if record is not None and (picture := self._picture(record)):
            content = read_picture(job / RUN / picture["file"])
            kept |= {"picture": f"pictures/{job.name}.png", "caption": picture["caption"]}
            write_atomically(self.directory / kept["picture"], lambda file: file.write(content))
        return kept

    def _picture(self, record: Record) -> dict[str, str] | None:
        """The picture of what the objective is about, or else the run's first."""
        named = [picture for picture in record.pictures if picture["name"] == self.wanted[0].subject]
        return next(iter([*named, *record.pictures]), None)


def open_sweep(config: SweepConfig, words: list[str]) -> SweepRun:
    """The sweep of these settings, in its directory; `words` are those of the command line that are the jobs'.

    Raises
    ------
    RequestError
        If a job's words mean nothing to its command, or the directory belongs to other settings or holds other files.
    """
    config, words = _with_words(config, words)
    sweep = config.sweep
    if not sweep.params:
        raise RequestError("sweep.params: found none, allowed: KEY=a,b,c on the command line, or a sweep that has some")
    parameters = [parameter(key, values) for key, values in sweep.params.items()]
    settings = {key: value for key, value in resolved(config).items() if key not in INCIDENTAL}
    # A trial follows from those before it, not from how many there are to be: more may be asked for later.
    settings["sweep"] = {key: value for key, value in settings["sweep"].items() if key != "trials"}
    own = [word for word in words if _group_of(word) != "tracker"]
    identity = {"command": "sweep", "robsynth": __version__, "config": {**settings, "words": own}}
    name = f"sweep-{sweep.name}-{digest(identity)}"
    found = SweepRun(config, words, parameters, Path(config.out or Path("outputs") / name))
    _check(found)
    directory = writable_directory(found.directory)
    manifest = directory / MANIFEST
    if config.force and manifest.exists():
        clear(directory, MANIFEST)
    if manifest.exists():
        known = read_json(manifest).get("identity")
        if known != identity:
            raise RequestError(f"out: {directory} holds a sweep of other settings ({difference(known, identity)}); "
                               "allowed: force=true, or another out")  # fmt: skip
    else:
        if others := [path.name for path in directory.iterdir() if not path.name.startswith(".")]:
            raise RequestError(f"out: {directory} holds other files ({others[0]}); allowed: an empty directory")
        write_json(manifest, {"sweep": name, "started": now(), "identity": identity})
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


def _check(sweep: SweepRun) -> None:
    """Refuse what the jobs would refuse, before any of them begins."""
    settings = sweep.config.sweep
    assert sweep.wanted
    if settings.pruning.images and sweep.wanted[0].subject is None:
        raise RequestError(f"sweep.objective: found {settings.objective}, allowed with pruning.images: TASK/METRIC")
    if settings.sampler == "tpe":
        optuna.load_optuna()
        space = [one.distribution() for one in sweep.parameters]
        points = [{one.key: optuna.least(known) for one, known in zip(sweep.parameters, space, strict=True)}]
    else:
        points = grid(sweep.parameters)
    for point in points:
        load_config(settings.command, sweep._words(point))
    for words in settings.prepare.values():
        load_config("train", _last([*words, *sweep._common]))


def _make(directory: Path, job: Job, again: bool = False) -> None:
    """A job's file; of one that has not ended the words, of which the tracker's may have changed.

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


def _record(job: Path) -> Record:
    return load_record(job / RUN)
