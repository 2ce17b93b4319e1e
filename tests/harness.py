"""The command line as a user runs it, and how tests begin, wait for and kill what it starts."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout's last line."""
        assert self.status == 0, self.stderr
        return json.loads(self.stdout.strip().splitlines()[-1])

    @property
    def complaint(self) -> str:
        """stderr's only line of complaint."""
        (line,) = complaints(self.stderr)
        return line


def complaints(stderr: str) -> list[str]:
    """The lines in which a command says what went wrong."""
    assert "Traceback" not in stderr
    return [line for line in stderr.splitlines() if line.startswith("robsynth: ")]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "robsynth", *words]


def run_as_user(*words: str, cwd: Path) -> Finished:
    """`robsynth WORDS` from the start, in this directory."""
    done = subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


# Importing takes longer than most commands that tests run: here it is done once, and each command is a copy of that
# process. Those that tests kill are begun as users begin them.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([f"robsynth.commands.{name}" for name in ("evaluate", "reproduce", "train", "sweep")])


def robsynth(*words: str, cwd: Path) -> Finished:
    """`robsynth WORDS` in its own process, in this directory."""
    with TemporaryDirectory() as directory:
        said = [Path(directory) / name for name in ("stdout", "stderr")]
        process = _forks.Process(target=_become, args=(words, cwd, dict(os.environ), said))
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
        assert process.exitcode is not None, f"robsynth {words} takes more than ten minutes"
        return Finished(process.exitcode, *(path.read_text() for path in said))


def _become(words: Sequence[str], cwd: Path, environment: dict[str, str], said: Sequence[Path]) -> None:
    """Make of this process what `command` would have started."""
    for place, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), place)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["robsynth", *words]
    from robsynth.cli import main

    raise SystemExit(main())


def begun(*words: str, cwd: Path, **variables: str) -> subprocess.Popen:
    """`robsynth WORDS` as it runs, to be interrupted or killed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*words), cwd=cwd, env={**os.environ, **variables}, **pipes)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until this file is there, which `process` makes on its way."""
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(process: subprocess.Popen) -> list[int]:
    """The numbers of the commands that this one has started and that still run."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(number) for number in listed if b"robsynth" in Path(f"/proc/{number}/cmdline").read_bytes()]


def inspected(run: Path) -> dict[str, Any]:
    """The one offline run of W&B below this directory, read back by W&B's own tool."""
    (log,) = (run / "wandb").glob("offline-run-*")
    return json.loads(_leet(log, "--summary"))


def logged(run: Path) -> list[dict[str, Any]]:
    """All that this run's offline log holds, entry by entry."""
    (log,) = (run / "wandb").glob("offline-run-*")
    return [json.loads(line) for line in _leet(log).splitlines()]


def _leet(log: Path, *more: str) -> str:
    words = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", *more, "--json", str(log)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
