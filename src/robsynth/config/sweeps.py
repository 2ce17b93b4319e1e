"""Sweeps: which settings are tried, what is best among them, and where the jobs run."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice
from robsynth.errors import RequestError


@dataclass
class Pruning:
    """Which trials of a TPE sweep are ended early: those worse than the median of the finished ones at the same point.

    Compared is `history`, a column of the classifier's training after every epoch, or the objective's metric of the
    first so many `images` of the objective's task while they are being made. No trial is pruned before `startup`
    trials have finished, nor before epoch or image `warmup`.
    """

    name: str = choice("none", "median", default="none")
    history: str | None = None
    images: list[int] = field(default_factory=list, metadata={"least": 2, "empty": True})
    startup: int = field(default=5, metadata={"least": 1})
    warmup: int = field(default=0, metadata={"least": 0})

    def check(self, prefix: str) -> None:
        """Refuse a pruner with nothing, or with two things, to look at."""
        looks = [name for name in ("history", "images") if getattr(self, name)]
        if self.name == "none" and looks:
            raise RequestError(f"{prefix}{looks[0]}: found a value, allowed with {prefix}name=median")
        if self.name != "none" and len(looks) != 1:
            raise RequestError(
                f"{prefix}name: found {self.name}, which needs one of {prefix}history and {prefix}images"
            )


@dataclass
class Sweep:
    """Many runs of `command` and their comparison.

    `params` has the values of each key in Hydra's words: `a,b,c`, `choice(a,b,c)`, `range(1,10)` and for TPE
    `interval(0.1,1)`, `tag(log,interval(0.1,1))`. `words` are what all jobs have in common. `prepare` are trainings
    that all jobs use: the words of `robsynth train` under a name, which stands as `{NAME}` in `words` for the path
    of the trained classifier. The objective is a figure of the jobs' records, `figures` what is shown beside it:
    [SUBJECT/]METRIC[/PROTOCOL].
    """

    name: str = "???"
    command: str = choice("reproduce", "train", default="reproduce")
    sampler: str = choice("grid", "tpe", default="grid")
    objective: str = "???"
    figures: list[str] = field(default_factory=list, metadata={"empty": True})
    params: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list, metadata={"empty": True})
    prepare: dict[str, list[str]] = field(default_factory=dict)
    trials: int | None = field(default=None, metadata={"least": 1})
    seed: int = field(default=0, metadata={"least": 0})
    pruning: Pruning = field(default_factory=Pruning)

    def check(self, prefix: str) -> None:
        """Refuse what a grid does not read, and a TPE sweep without an end."""
        if self.sampler == "grid" and self.trials is not None:
            raise RequestError(f"{prefix}trials: found {self.trials}, but a grid has as many as it has points")
        if self.sampler == "grid" and self.pruning.name != "none":
            raise RequestError(f"{prefix}pruning.name: found {self.pruning.name}, allowed with {prefix}sampler=tpe")
        if self.sampler == "tpe" and self.trials is None:
            raise RequestError(f"{prefix}trials: found none, but {prefix}sampler=tpe needs it")


# What each launcher reads of `Launcher`.
READS: dict[str, tuple[str, ...]] = {
    "local": (),
    "joblib": ("jobs",),
    "submitit_local": ("jobs",),
    "submitit_slurm": ("jobs", "cpus", "gpus", "memory_gb", "minutes", "partition", "account"),
    "ray": ("jobs", "cpus", "gpus", "address"),
}


@dataclass
class Launcher:
    """Where a sweep's jobs run, and how many at once; the rest is what each job asks for.

    `minutes` is a job's time limit, `address` a Ray cluster's; without one Ray starts a cluster of this machine.
    """

    name: str = choice(*READS)
    jobs: int = field(default=1, metadata={"least": 1})
    cpus: int | None = field(default=None, metadata={"least": 1})
    gpus: int | None = field(default=None, metadata={"least": 1})
    memory_gb: int | None = field(default=None, metadata={"least": 1})
    minutes: int | None = field(default=None, metadata={"least": 1})
    partition: str | None = None
    account: str | None = None
    address: str | None = None

    def check(self, prefix: str) -> None:
        """Refuse settings that the launcher does not read."""
        for key in ("cpus", "gpus", "memory_gb", "minutes", "partition", "account", "address"):
            value = getattr(self, key)
            if value is not None and key not in READS[self.name]:
                raise RequestError(f"{prefix}{key}: found {value}, but {self.name} does not read it; allowed: none")
        if self.jobs > 1 and "jobs" not in READS[self.name]:
            raise RequestError(f"{prefix}jobs: found {self.jobs}, but {self.name} runs one after the other; allowed: 1")


@dataclass
class SweepConfig:
    """`sweep`; every word of its command line that is no key of this is one for the jobs."""

    out: str | None = None
    force: bool = False
    debug: bool = False
    sweep: Sweep = field(default_factory=Sweep)
    launcher: Launcher = field(default_factory=Launcher)
