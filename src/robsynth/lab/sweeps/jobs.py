"""A sweep's jobs on disk, and how one is run: in a process of its own, whatever launcher calls for it.

Nothing heavy is imported: a launcher's worker does nothing but wait.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robsynth.errors import PRUNED
from robsynth.files import read_json, write_json

FILE, LOG, LOCK, RUN = "job.json", "log.txt", ".lock", "run"
# How every attempt begins in the log.
ATTEMPT = "--- begun "
# Of a run that somebody ended.
STOPPED = (130, 143, -2, -15)
TRIAL = "ROBSYNTH_TRIAL"


@dataclass(frozen=True)
class Job:
    """A command, the settings that tell it from the sweep's others, and how it ended.

    `status` is waiting, running, finished, failed, pruned or stopped; `trial` says what an Optuna trial reports and
    where.
    """

    command: str
    words: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] | None = None
    status: str = "waiting"
    exit_status: int | None = None
    error: str | None = None
    started: str | None = None
    finished: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("finished", "failed", "pruned")


def load_job(directory: Path) -> Job:
    return Job(**read_json(directory / FILE))


def save_job(directory: Path, job: Job) -> Job:
    write_json(directory / FILE, asdict(job))
    return job


def run_job(directory: Path, cwd: Path, threads: int | None) -> None:
    """Run a job in a process of its own, unless it has ended; its file says how it ends, its log all that it said.

    A process that a killed sweep left behind still has the job's lock; it is waited for, and what it left undone goes
    on.
    """
    directory = cwd / directory
    with _locked(directory / LOCK) as lock:
        job = load_job(directory)
        if job.ended:
            return
        job = save_job(directory, replace(job, status="running", started=job.started or _now(), error=None))
        status = _execute(directory, job, cwd, threads, lock)
        names = {0: "finished", PRUNED: "pruned"} | dict.fromkeys(STOPPED, "stopped")
        how = names.get(status, "failed")
        said = None if status == 0 else _complaint(directory / LOG, status)
        save_job(directory, replace(job, status=how, exit_status=status, error=said, finished=_now()))


def _execute(directory: Path, job: Job, cwd: Path, threads: int | None, lock: int) -> int:
    shown = os.path.relpath(directory, cwd)
    out = str(directory if shown.startswith("..") else shown)
    command = [sys.executable, "-m", "robsynth", job.command, *job.words, f"out={out}/{RUN}"]
    environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
    environment.pop(TRIAL, None)
    if job.trial is not None:
        environment[TRIAL] = str(directory / FILE)
    with (directory / LOG).open("ab") as log:
        log.write(f"{ATTEMPT}{_now()}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[lock]
        )
        try:
            return process.wait()
        except BaseException:
            # Whoever ends the sweep ends its jobs, which save what they have.
            process.terminate()
            process.wait()
            raise


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A lock that the process and its children have, to the last of them."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _complaint(log: Path, status: int) -> str:
    """The line with which the command ended, or else that it said nothing."""
    last = log.read_text(errors="replace").rpartition(ATTEMPT)[2]
    lines = [line for line in last.splitlines() if line.startswith("robsynth: ")]
    if status < 0:
        return f"killed by signal {-status}"
    return lines[-1].removeprefix("robsynth: ") if lines else f"ended with status {status}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
