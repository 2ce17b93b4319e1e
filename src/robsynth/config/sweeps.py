"""Sweeps: which settings are tried, what is best among them, and where the jobs run."""

from dataclasses import dataclass

from robsynth.config.fields import Contradictions, choice, number, setting

# To each of a kind the settings beside its name that it reads.
PRUNERS = {"none": (), "median": ("history", "images")}
SAMPLERS = {"grid": (), "tpe": ("trials",)}
LAUNCHERS: dict[str, tuple[str, ...]] = {
    "local": (),
    "joblib": ("jobs",),
    "submitit_local": ("jobs",),
    "submitit_slurm": ("jobs", "cpus", "gpus", "memory_gb", "minutes", "partition", "account"),
    "ray": ("jobs", "cpus", "gpus", "address"),
}


@dataclass
class Pruning:
    """Which trials of a TPE sweep are ended early: those worse than the median of the finished ones at that point."""

    name: str = choice(PRUNERS, default="none", beside="optional", help="what ends trials of TPE early")
    history: str | None = setting(None, help="compared: a column of the training's history, e.g. held_out_accuracy")
    images: list[int] = number(least=2, default=list, help="or the objective of so many first images of its task")
    startup: int = number(least=1, default=5, help="how many trials have to finish first")
    warmup: int = number(least=0, default=0, help="the first epoch or image at which one may end")

    def contradictions(self) -> Contradictions:
        looks = (self.history is not None) + bool(self.images)
        yield self.name != "none" and looks != 1, "name", "which needs one of history and images"


@dataclass
class Sweep:
    """Many runs of one command and their comparison."""

    name: str = setting(help="what it is called")
    command: str = choice(("reproduce", "train"), default="reproduce", help="what the jobs run")
    sampler: str = choice(SAMPLERS, default="grid", beside="needed", help="every combination, or by Optuna")
    objective: str = setting(help="what is best: a figure of the jobs' records, [SUBJECT/]METRIC[/PROTOCOL]")
    figures: list[str] = setting(list, help="figures shown beside it")
    params: dict[str, str] = setting(dict, help="KEY=a,b,c or range(1,9); TPE's interval(0,1), tag(log,interval(..))")
    words: list[str] = setting(list, help="what all jobs have in common, for short KEY=VALUE")
    prepare: dict[str, list[str]] = setting(dict, help="words of a `robsynth train` first; {NAME} in words is its file")
    trials: int | None = number(least=1, default=None, help="how many, of TPE")
    seed: int = number(least=0, default=0, help="of TPE")
    pruning: Pruning = setting(Pruning, help="which trials are ended early")

    def contradictions(self) -> Contradictions:
        yield self.sampler == "grid" and self.pruning.name != "none", "pruning.name", "allowed with sampler=tpe"


@dataclass
class Launcher:
    """Where a sweep's jobs run."""

    name: str = choice(LAUNCHERS, beside="optional", help="one after the other, or several at once by who")
    jobs: int = number(least=1, default=1, help="how many at once")
    cpus: int | None = number(least=1, default=None, help="of each job (Slurm, Ray)")
    gpus: int | None = number(least=1, default=None, help="of each job (Slurm, Ray)")
    memory_gb: int | None = number(least=1, default=None, help="of each job (Slurm)")
    minutes: int | None = number(least=1, default=None, help="a job's time limit (Slurm)")
    partition: str | None = setting(None, help="Slurm's")
    account: str | None = setting(None, help="Slurm's")
    address: str | None = setting(None, help="a Ray cluster's; one of this machine is started unless given")
