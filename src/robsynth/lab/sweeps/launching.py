"""Where a sweep's jobs run: one after the other, by joblib, by submitit, by Ray."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robsynth.config import Launcher
from robsynth.errors import RequestError
from robsynth.lab.sweeps.jobs import complaint_of, load_job, run_job
from robsynth.progress import say

# Submitit ends what takes longer; here only people do.
WEEK = 7 * 24 * 60
# A job as a launcher calls for it: the arguments of `complaint_of`.
Call = tuple[Any, ...]


def launch(settings: Launcher, jobs: Sequence[Path], scratch: Path) -> None:
    """Run these jobs, which all end in one way or another; the launcher's own files go to `scratch`.

    Raises
    ------
    RequestError
        If the launcher is not installed, or there is no Slurm or GPU that it needs.
    """
    variables = _variables(settings)
    calls = [(run_job, job, Path.cwd(), variables) for job in jobs if not load_job(job).ended]
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
    found: dict[str, str | None] = {}
    if settings.cpus is not None:
        found["OMP_NUM_THREADS"] = str(settings.cpus)
    elif settings.name != "submitit_slurm" and settings.address is None:
        found["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // settings.jobs))
    if settings.name == "submitit_local":
        # Submitit hides them from jobs that ask for none.
        found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found


def _local(settings: Launcher, calls: Sequence[Call], scratch: Path) -> list[str | None]:
    return [complaint_of(*call) for call in calls]


def _joblib(settings: Launcher, calls: Sequence[Call], scratch: Path) -> list[str | None]:
    from joblib import Parallel, delayed

    return Parallel(n_jobs=settings.jobs)(delayed(complaint_of)(*call) for call in calls)


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

    def still(running: list[Any]) -> list[Any]:
        time.sleep(0.2)
        return [job for job in running if not job.done()]

    if cluster == "slurm":
        begun = executor.map_array(complaint_of, *zip(*calls, strict=True))
    else:
        begun = _in_turn(settings.jobs, calls, lambda call: executor.submit(complaint_of, *call), still)
    return [complaint_of(job.result) for job in begun]


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
        begun = _in_turn(settings.jobs, calls, lambda call: job.remote(*call), lambda running: ray.wait(running)[1])
        return [complaint_of(ray.get, reference) for reference in begun]
    finally:
        ray.shutdown()


LAUNCHERS = {
    "local": _local, "joblib": _joblib, "submitit_local": _submitit, "submitit_slurm": _submitit, "ray": _ray,
}  # fmt: skip


def _in_turn(
    most: int, calls: Sequence[Call], begin: Callable[[Call], Any], still: Callable[[list[Any]], list[Any]]
) -> list[Any]:
    """All jobs in the order in which they are begun, at most so many at a time; `still` says which of some run on."""
    begun: list[Any] = []
    running: list[Any] = []
    for call in calls:
        while len(running) == most:
            running = still(running)
        begun.append(begin(call))
        running.append(begun[-1])
    return begun
