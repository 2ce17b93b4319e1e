"""How the processes of a run come to be: by themselves, started from here, or found started by a cluster."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from robsynth import processes
from robsynth.config.commands import Trainer
from robsynth.errors import PRUNED, Pruned, RequestError, RunError

# CPU processes of trainer=ddp, unless trainer.processes says how many.
CPU_PROCESSES = 2


def environment(settings: Trainer) -> Any:
    """Lightning's view of the cluster that started this process; None for a process that nobody started.

    Raises
    ------
    RequestError
        If `trainer` asks for a cluster and there is none, or there is one that `trainer` does not ask for.
    """
    from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if settings.name in ("ddp", "multinode") and TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if settings.name == "multinode":
        # srun's alone: a job's script has the other variables too, and is one process all the same.
        if "SLURM_STEP_ID" in os.environ:
            if "SLURM_NTASKS_PER_NODE" not in os.environ:
                raise RequestError("trainer: found multinode in a job without --ntasks-per-node; allowed: with it")
            return SLURMEnvironment(auto_requeue=False)
        raise RequestError(
            "trainer: found multinode, but neither torchrun nor srun started this process; allowed: torchrun "
            "--nnodes=N --nproc-per-node=P --rdzv-backend=c10d --rdzv-endpoint=HOST:PORT -m robsynth ..., "
            "srun robsynth ..., or trainer=ddp on one machine"
        )
    tasks = os.environ["WORLD_SIZE"] if TorchElasticEnvironment.detect() else os.environ.get("SLURM_STEP_NUM_TASKS", 1)
    if int(tasks) > 1:
        raise RequestError(f"trainer: found {settings.name} in one of several processes; allowed: trainer=multinode")
    return None


def to_start(settings: Trainer, device: torch.device) -> int:
    """How many processes are to be started from here; 0 where this is one of those that do the work.

    Raises
    ------
    RequestError
        If this process sees fewer GPUs than there are to be processes.
    """
    if settings.name != "ddp" or environment(settings) is not None:
        return 0
    if device.type != "cuda":
        return settings.processes or CPU_PROCESSES
    gpus = torch.cuda.device_count()
    if settings.processes is not None and settings.processes > gpus:
        raise RequestError(f"trainer.processes: found {settings.processes}, allowed: up to {gpus}, one a GPU")
    return settings.processes or gpus


@contextmanager
def member(settings: Trainer, device: torch.device) -> Iterator[None]:
    """This process as one of the run's, with its share of the cores while it is.

    Raises
    ------
    RequestError
        If machines have different numbers of processes, or processes would share a GPU.
    """
    found, before = environment(settings), torch.get_num_threads()
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ["SLURM_NTASKS_PER_NODE"]) if found is not None else 1
    if found is not None and found.world_size() % here:
        raise RequestError(
            f"trainer: found {found.world_size()} processes, {here} of them here; allowed: as many on every machine"
        )
    # Of the one GPU that a process sees there may be another for each.
    if device.type == "cuda" and 1 < torch.cuda.device_count() < here:
        raise RequestError(
            f"trainer: found {here} processes here and {torch.cuda.device_count()} GPUs; allowed: one a GPU"
        )
    # What srun binds its task to; what torchrun or this package started shares the cores of one task.
    bound = None if "LOCAL_WORLD_SIZE" in os.environ else os.environ.get("SLURM_CPUS_PER_TASK")
    share = int(bound or max(1, len(os.sched_getaffinity(0)) // here)) if here > 1 else before
    torch.set_num_threads(settings.threads or share)
    try:
        if found is None or found.world_size() == 1:
            yield
            return
        if settings.name == "ddp":
            _end_with_parent()
        with processes.joined(found, here, device):
            yield
    finally:
        torch.set_num_threads(before)


def _end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone, so that no run goes on unseen."""
    parent = os.environ["TORCHELASTIC_RUN_ID"].removeprefix(processes.LAUNCHED)
    if sys.platform == "linux" and parent.isdecimal():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != int(parent):
            raise SystemExit(1)


def start(count: int, words: list[str]) -> None:
    """`robsynth WORDS` in `count` processes on this machine; returns when all have ended well.

    Raises what ended the run in the process that failed first: a RequestError or a RunError with its words,
    SystemExit where it was told to stop, KeyboardInterrupt.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What the launcher says of a failure, the exception says too; and this process does nothing else.
    logging.disable(logging.CRITICAL)
    settings = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, max_restarts=0, rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", local_addr="localhost", run_id=f"{processes.LAUNCHED}{os.getpid()}",
    )  # fmt: skip
    try:
        elastic_launch(settings, sys.executable)("-m", "robsynth", *words)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise SystemExit(128 + error.sigval) from error
    except ChildFailedError as error:
        raise _as_here(error.failures) from error


def _as_here(failures: dict[int, Any]) -> BaseException:
    """The failure that the others followed from: a kill or, without one, the first that had words of its own."""
    killed = {rank: failure for rank, failure in failures.items() if failure.exitcode < 0}
    said = {rank: failure for rank, failure in failures.items() if os.path.isfile(failure.error_file)}
    rank, failure = min((killed or said or failures).items(), key=lambda item: item[1].timestamp)
    status = failure.exitcode
    if status in (-signal.SIGTERM, 128 + signal.SIGTERM):
        return SystemExit(128 + signal.SIGTERM)
    if status < 0:
        how = f"was killed ({signal.Signals(-status).name})"
        return RunError(f"process {rank} {how}; the same command goes on from here")
    if not os.path.isfile(failure.error_file):
        return RunError(f"process {rank} lost its connection to the others; the same command goes on from here")
    if status in (2, PRUNED):
        return (RequestError if status == 2 else Pruned)(failure.message)
    return RunError(failure.message if rank == 0 else f"process {rank}: {failure.message}")
