"""Several processes that compute in turn, so that each finds the machine as the others found it."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Turns:
    """The side of a process that waits for its turns.

    What it does between `stop` and the next `start` or `finish` happens in its turn too, but is not timed.
    What others print goes to stderr, as stdout is for answers.
    """

    def __init__(self) -> None:
        self._answers, sys.stdout = sys.stdout, sys.stderr
        self._seconds: float | None = None
        self._since = 0.0

    def start(self) -> None:
        """Say how long the last turn took, if there was one, and wait for the next."""
        self._answer({"seconds": self._seconds})
        if not sys.stdin.readline():
            raise SystemExit("whoever gave the turns is gone")
        self._since = time.perf_counter()

    def stop(self) -> None:
        self._seconds = time.perf_counter() - self._since

    def finish(self, result: dict[str, Any]) -> None:
        self._answer({"seconds": self._seconds, **result})

    def _answer(self, answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)


class Worker:
    """The other side: a process that has begun, and is given its turns."""

    def __init__(self, job: str, log: Path) -> None:
        """Begin `python -m speed_ways JOB`, and wait until it is ready for its first turn."""
        self._log = log
        paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "speed_ways", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
                text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )  # fmt: skip
        self._read()

    def turn(self) -> dict[str, Any]:
        """Its answer to one turn: `seconds`, and the result with the last."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def stop(self) -> None:
        """End it, wherever it is."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise SystemExit(f"{self._log.stem}: {''.join(last) or 'ended without a word'}")
        return json.loads(line)


def peak_gb() -> float:
    """The most resident memory that this process had, without its loader's workers, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
