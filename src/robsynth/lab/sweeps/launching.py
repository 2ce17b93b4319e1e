"""Where a sweep's jobs run: one after the other, by joblib, by submitit, by Ray."""

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from robsynth.config import Launcher
from robsynth.errors import RequestError
from robsynth.lab.sweeps.jobs import complaint_of, load_job, run_job
from robsynth.progress import say

# Submitit ends what takes longer; here only people do.
WEEK = 7 * 24 * 60
# Runs a job, and gives what there is to complain of.
Call = Callable[[], str | None]


def launch(settings: Launcher, jobs: Sequence[Path], scratch: Path) -> None:
    """Run these jobs, which all end in one way or another; the launcher's own files go to `scratch`.

    Raises
    ------
    RequestError
        If the launcher is not installed, or there is no Slurm or GPU that it needs.
    """
    rest = Path.cwd(), _variables(settings)
    calls = [partial(complaint_of, run_job, job, *rest) for job in jobs if not load_job(job).ended]
    if not calls:
        return
    try:
        complaints = LAUNCHERS[settings.name](settings, calls, scratch)
    except ModuleNotFoundError as error:
        extra = "ray" if settings.name == "ray" else "sweeps"
        raise RequestError(
            f"launcher: {settings.name} cannot be had ({error}); allowed: pip install 'robsynth[{extra}]'"
        ) from None
    except RequestError:
        raise
    except Exception as error:
        complaints = [f"{type(error).__name__}: {error}"]
    for line in sorted(set(filter(None, complaints))):
        say(f"launcher {settings.name}: {' '.join(line.split())}")


def _variables(settings: Launcher) -> dict[str, str | None]:
    """Threads of each job: what it asked the cluster for, or its share of this machine's cores; and its GPUs."""
    threads = settings.cpus
    if threads is None and settings.name != "submitit_slurm" and settings.address is None:
        threads = max(1, len(os.sched_getaffinity(0)) // settings.jobs)
    found: dict[str, str | None] = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    if settings.name == "submitit_local":
        # Submitit hides them from jobs that ask for none.
        found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found


def _joblib(settings: Launcher, calls: Sequence[Call], scratch: Path) -> list[str | None]:
    from joblib import Parallel, delayed

    return Parallel(n_jobs=settings.jobs)(delayed(call)() for call in calls)


def _submitit(settings: Launcher, calls: Sequence[Call], scratch: Path) -> list[str | None]:
    """An array of Slurm jobs, or the same as processes of this machine."""
    from submitit import AutoExecutor

    cluster = settings.name.removeprefix("submitit_")
    if cluster == "slurm" and shutil.which("srun") is None:
        raise RequestError(
            "launcher: submitit_slurm needs Slurm, and no srun is here; allowed: local, joblib, submitit_local, ray"
        )
    executor = AutoExecutor(scratch, cluster=cluster)
    executor.update_parameters(
        name="robsynth", timeout_min=settings.minutes or WEEK, cpus_per_task=settings.cpus, gpus_per_node=settings.gpus,
        mem_gb=settings.memory_gb, slurm_partition=settings.partition, slurm_account=settings.account,
        slurm_array_parallelism=settings.jobs,
    )  # fmt: skip
    if cluster == "slurm":
        return [complaint_of(job.result) for job in executor.submit_array(calls)]
    return _waiting_for(lambda call: executor.submit(call).result(), settings, calls)


def _ray(settings: Launcher, calls: Sequence[Call], scratch: Path) -> list[str | None]:
    """Tasks of a Ray cluster, which without an address is one of this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    cpus, gpus = settings.cpus or 1, settings.gpus or 0
    here: Any = {} if settings.address else {"num_cpus": settings.jobs * cpus, "include_dashboard": False}
    ray.init(address=settings.address, log_to_driver=False, configure_logging=False, **here)
    try:
        if here and gpus > (known := int(ray.cluster_resources().get("GPU", 0))):
            raise RequestError(f"launcher.gpus: found {gpus}, allowed: up to {known}, which Ray finds here")
        job = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(complaint_of)
        return _waiting_for(lambda call: ray.get(job.remote(call)), settings, calls)
    finally:
        ray.shutdown()


LAUNCHERS = {
    "local": lambda settings, calls, scratch: [call() for call in calls],
    "joblib": _joblib,
    "submitit_local": _submitit,
    "submitit_slurm": _submitit,
    "ray": _ray,
}


def _waiting_for(work: Callable[[Call], Any], settings: Launcher, calls: Sequence[Call]) -> list[str | None]:
    """What comes of jobs of which each begins and is waited for in a thread, at most so many at a time."""
    with ThreadPool(settings.jobs) as threads:
        return threads.map(lambda call: complaint_of(work, call), calls, chunksize=1)
