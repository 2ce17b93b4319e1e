"""A sweep's jobs on disk, and how one is run: in a process of its own, whatever launcher calls for it.

Nothing heavy is imported: a launcher's worker does nothing but wait.
"""

import fcntl
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from robsynth.directories import now
from robsynth.errors import PRUNED
from robsynth.files import read_json, write_json

JOB, LOG, LOCK, RUN = "job.json", "log.txt", ".lock", "run"
# How every attempt begins in the log.
ATTEMPT = "--- begun "
# What exit statuses mean, those of a run that somebody ended among them; any other is a failure.
STATUSES = {0: "finished", PRUNED: "pruned", **dict.fromkeys((130, 143, -2, -15), "stopped")}
# Names a trial's file to the process that runs it.
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
    return Job(**read_json(directory / JOB))


def save_job(directory: Path, job: Job) -> None:
    write_json(directory / JOB, asdict(job))


def run_job(directory: Path, cwd: Path, variables: dict[str, str | None]) -> None:
    """Run a job in a process of its own, unless it has ended; its file says how it ends, its log all that it said.

    `variables` are set in its environment, or with None taken from it. A process that a killed sweep left behind still
    has the job's lock; it is waited for, and what it left undone goes on.
    """
    directory = cwd / directory
    with (directory / LOCK).open("ab") as lock, (directory / LOG).open("ab") as log:
        # The process and its children have it, to the last of them.
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = load_job(directory)
        if job.ended:
            return
        job = replace(job, status="running", started=job.started or now(), error=None)
        save_job(directory, job)
        log.write(f"{ATTEMPT}{now()}\n".encode())
        log.flush()
        shown = os.path.relpath(directory, cwd)
        command = [sys.executable, "-m", "robsynth", job.command, *job.words,
                   f"out={directory if shown.startswith('..') else shown}/{RUN}"]  # fmt: skip
        own = {**os.environ, **variables, TRIAL: str(directory / JOB) if job.trial is not None else None}
        process = subprocess.Popen(
            command, cwd=cwd, env={name: value for name, value in own.items() if value is not None},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[lock.fileno()],
        )  # fmt: skip
        try:
            status = process.wait()
        except BaseException:
            # Whoever ends the sweep ends its jobs, which save what they have.
            process.terminate()
            process.wait()
            raise
        error = None
        if status:
            # The line with which the command ended, or else that it said nothing.
            last = (directory / LOG).read_text(errors="replace").rpartition(ATTEMPT)[2]
            said = [f"ended with status {status}", *re.findall(r"^robsynth: (.*)$", last, re.MULTILINE)]
            error = said[-1] if status > 0 else f"killed by signal {-status}"
        how = STATUSES.get(status, "failed")
        save_job(directory, replace(job, status=how, exit_status=status, error=error, finished=now()))


def complaint_of(work: Any, *arguments: Any) -> str | None:
    """What `work` complains of, or fails with: so that a job that cannot even be begun stops no other."""
    try:
        return work(*arguments)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
