"""A run's directory and its stages."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from robsynth import __version__, processes
from robsynth.classifiers import find_checkpoint
from robsynth.config import Common, Config, EvaluateConfig
from robsynth.config.compose import resolved, to_yaml
from robsynth.data import DataSet
from robsynth.errors import Pruned, RequestError, RunError
from robsynth.files import digest, file_sha1, read_json, writable_directory, write_json, write_text
from robsynth.lab.sweeps.trial import open_trial
from robsynth.lab.trackers import Job, Tracking
from robsynth.progress import say
from robsynth.records.provenance import git_commit, peak_memory_gb

MANIFEST, STAGES = "run.json", "stages"
# Of the last attempt, if it failed.
FAILED = "failed.json"
# What does not change any result.
INCIDENTAL = ("out", "force", "debug", "tracker", "trainer")


class Run:
    """A directory that belongs to one resolved configuration.

    Without `out`, its name holds the configuration's digest, so the same request finds its run again and
    another request never meets it.
    """

    def __init__(self, command: str, config: Common, extra: dict[str, Any]) -> None:
        settings = {key: value for key, value in resolved(config).items() if key not in INCIDENTAL}
        identity = {"command": command, "robsynth": __version__, **extra, "config": settings}
        self.name = "-".join(
            str(part) for part in (settings.get("experiment"), settings.get("scale"), command, digest(identity)) if part
        )
        self.command = command
        self.directory = Path(config.out or Path("outputs") / self.name)
        self.started: str = processes.once(lambda: self._open(identity, config))
        self.stages: list[dict[str, Any]] = []

    def _open(self, identity: dict[str, Any], config: Common) -> str:
        """Make the directory this configuration's, or see that it is; returns when the run was first started."""
        writable_directory(self.directory)
        manifest_path = self.directory / MANIFEST
        if config.force:
            clear(self.directory)
        if manifest_path.exists():
            manifest = read_json(manifest_path)
            if manifest.get("identity") != identity:
                raise RequestError(
                    f"out: {self.directory} holds a run of other settings "
                    f"({difference(manifest.get('identity'), identity)}); allowed: force=true, or another out"
                )
        else:
            others = [path.name for path in self.directory.iterdir() if not path.name.startswith(".")]
            if others:
                raise RequestError(
                    f"out: {self.directory} holds other files ({others[0]}); allowed: an empty directory"
                )
            write_json(manifest_path, {"run": self.name, "started": now(), "identity": identity})
        (self.directory / FAILED).unlink(missing_ok=True)
        write_text(self.directory / "config.yaml", to_yaml(config))
        return str(read_json(manifest_path)["started"])

    def stage(self, name: str, work: Callable[[], dict[str, Any]], alone: bool = False) -> dict[str, Any]:
        """The result of `work`, a JSON-like dictionary: computed now, or when it was first.

        `files` in a result are paths below the run's directory, `sha1` is the first one's digest; if a file has been
        lost, or that one changed, the stage is done again.
        `wall_seconds` and `cpu_seconds` in a result stand for the stage's own measure of its cost.

        All processes of the run do the work, each its share, and the result is that of rank 0; with `alone` rank 0
        does it while the others wait.
        """
        done = processes.once(lambda: self._done(name))
        if done is None:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                result = processes.once(work) if alone else work()
            except (processes.Elsewhere, Pruned):
                raise
            except Exception as error:
                self._keep(error, name)
                raise
            spent = time.process_time() - cpu
            # Waits for all: only then is the stage done.
            spent = float(processes.total(torch.tensor(spent, dtype=torch.float64)))
            done = processes.once(lambda: self._finish(name, result, time.perf_counter() - wall, spent))
        self.stages.append(done)
        return done["result"]

    def _path(self, name: str) -> Path:
        return self.directory / STAGES / f"{name}.json"

    def _done(self, name: str) -> dict[str, Any] | None:
        """A stage as it was left, if nothing of it is lost."""
        title = f"[{len(self.stages) + 1:>2}] {name}"
        if not self._path(name).exists():
            say(title)
            return None
        done = read_json(self._path(name))
        trouble = self._trouble(done["result"])
        say(f"{title}: {trouble}, so again" if trouble else f"{title}: done before")
        return None if trouble else done

    def _trouble(self, result: dict[str, Any]) -> str | None:
        files: list[str] = result.get("files", [])
        if lost := [file for file in files if not (self.directory / file).exists()]:
            return f"{lost[0]} is gone"
        if "sha1" in result and file_sha1(self.directory / files[0]) != result["sha1"]:
            return f"{files[0]} is not what it was"
        return None

    def _finish(self, name: str, result: dict[str, Any], wall: float, cpu: float) -> dict[str, Any]:
        done = {
            "name": name,
            "wall_seconds": result.pop("wall_seconds", round(wall, 2)),
            "cpu_seconds": result.pop("cpu_seconds", round(cpu, 2)),
            "peak_memory_gb": peak_memory_gb(),
            "processes": processes.started(),
            "finished": now(),
            "commit": git_commit(),
            "result": result,
        }
        write_json(self._path(name), done)
        return done

    def _keep(self, error: Exception, stage: str) -> None:
        """Leave word of a failure, where there is still a place for it."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        with suppress(RunError):
            write_json(self.directory / FAILED, {"stage": stage, "error": reason, "when": now()})

    def tracking(self, config: Config | EvaluateConfig) -> Tracking:
        """The run's log, to be entered around its work."""
        job = Job(self.name, self.command, self.started, self.directory, resolved(config), config.tracker)
        return Tracking(job, open_trial().history)

    def relative(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()


def inputs_of(config: Config, data: DataSet, device: torch.device, precision: str) -> dict[str, str]:
    """What a run's results depend on besides its settings: data, arithmetic, the content of files that they name."""
    named = {
        "checkpoint": config.classifier.checkpoint, "recipe.start": config.recipe.start,
        "judge.checkpoint": config.judge.checkpoint, "judge.recipe.start": config.judge.recipe.start,
    }  # fmt: skip
    contents = {key: file_sha1(find_checkpoint(file, key)) for key, file in named.items() if file}
    return {"precision": precision, "device": device.type, "data": data.fingerprint, **contents}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def clear(directory: Path, manifest: str = MANIFEST) -> None:
    """Remove a run, and nothing that is not one."""
    if (directory / manifest).exists():
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def difference(old: Any, new: Any, key: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        parts = (difference(old.get(name), new.get(name), f"{key}.{name}") for name in sorted({*old, *new}))
        return ", ".join(part for part in parts if part)
    return "" if old == new else f"{key.removeprefix('.config').lstrip('.')} {old} instead of {new}"
