"""Where jobs run: Hydra's launchers, each job by its directory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robsynth.config import Launcher
from robsynth.errors import RequestError
from robsynth.lab.sweeps.jobs import load_job, run_job
from robsynth.progress import say

# The distribution that each launcher comes with.
COMES_WITH = {"joblib": "sweeps", "submitit_local": "sweeps", "submitit_slurm": "sweeps", "ray": "ray"}
# Submitit kills what takes longer; here only people do.
WEEK = 7 * 24 * 60


@dataclass(frozen=True)
class Task:
    """What a launcher's worker does with a job's configuration, which holds the job's number in the list."""

    directories: tuple[str, ...]
    cwd: str
    threads: int | None

    def __call__(self, config: Any) -> None:
        run_job(Path(self.directories[config.job]), Path(self.cwd), self.threads)


def launch(settings: Launcher, jobs: Sequence[Path], scratch: Path) -> None:
    """Run these jobs, which all end in one way or another; the launcher's own files go to `scratch`.

    Raises
    ------
    RequestError
        If the launcher is not installed.
    """
    waiting = [job for job in jobs if not load_job(job).ended]
    size = settings.jobs if settings.name == "submitit_local" else max(1, len(waiting))
    # The local executor of submitit starts all that it is given at once.
    for first in range(0, len(waiting), size):
        _launch(settings, waiting[first : first + size], scratch)


def _launch(settings: Launcher, jobs: Sequence[Path], scratch: Path) -> None:
    from hydra import initialize
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    task = Task(tuple(map(str, jobs)), os.getcwd(), _threads(settings))
    with initialize(config_path=None, version_base="1.3", job_name="robsynth"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
        try:
            config = hydra.compose_config(
                None, _overrides(settings, scratch), run_mode=RunMode.MULTIRUN, with_log_configuration=False
            )
            if settings.name == "ray":
                launcher = _ray(settings)
                launcher.setup(hydra_context=context, task_function=task, config=config)
            else:
                launcher = Plugins.instance().instantiate_launcher(
                    hydra_context=context, task_function=task, config=config
                )
        except Exception as error:
            extra = COMES_WITH.get(settings.name)
            cure = f"allowed: pip install 'robsynth[{extra}]'" if extra else "allowed: another launcher"
            raise RequestError(
                f"launcher: {settings.name} cannot be had ({' '.join(str(error).split())}); {cure}"
            ) from error
        try:
            ended = launcher.launch([[f"+job={number}"] for number in range(len(jobs))], initial_job_idx=0)
            errors = {str(one._return_value) for one in ended if isinstance(one._return_value, Exception)}
        except Exception as error:
            errors = {f"{type(error).__name__}: {error}"}
    for line in sorted(errors):
        say(f"launcher {settings.name}: {' '.join(line.split())}")


def _overrides(settings: Launcher, scratch: Path) -> list[str]:
    """Hydra's configuration for a launcher; all that the jobs need is in their files."""
    names = {"local": "basic", "ray": "basic"}
    asked: dict[str, Any] = {}
    if settings.name == "joblib":
        asked = {"n_jobs": settings.jobs}
    elif settings.name == "submitit_local":
        asked = {"timeout_min": WEEK}
    elif settings.name == "submitit_slurm":
        asked = {
            "timeout_min": settings.minutes, "array_parallelism": settings.jobs, "cpus_per_task": settings.cpus,
            "gpus_per_node": settings.gpus, "mem_gb": settings.memory_gb, "partition": settings.partition,
            "account": settings.account,
        }  # fmt: skip
    return [
        f"hydra/launcher={names.get(settings.name, settings.name)}",
        "hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null", "hydra.job.name=robsynth",
        f"hydra.sweep.dir='{scratch.resolve()}'", "hydra.sweep.subdir=.",
        *(f"hydra.launcher.{key}={value}" for key, value in asked.items() if value is not None),
    ]  # fmt: skip


def _threads(settings: Launcher) -> int | None:
    """Of each job: what it asked the cluster for, or its share of this machine's cores."""
    if settings.cpus is not None or settings.name == "submitit_slurm" or settings.address is not None:
        return settings.cpus
    return max(1, len(os.sched_getaffinity(0)) // settings.jobs)


def _ray(settings: Launcher) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: F401

    from robsynth.lab.sweeps.ray_launcher import RayLauncher

    return RayLauncher(settings.jobs, settings.cpus or 1, settings.gpus or 0, settings.address)
