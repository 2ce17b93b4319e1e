"""Stages, and the one place where they are done: each once in a run's life, so that a run that was killed goes on."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.config.compose import to_yaml
from robsynth.directories import claim, now
from robsynth.errors import Pruned, RunError
from robsynth.files import file_sha1, read_json, shown, write_json, write_text
from robsynth.lab.context import Context, Result
from robsynth.progress import say
from robsynth.records.figures import Figure
from robsynth.records.provenance import git_commit, machine, peak_gpu_memory_gb, peak_memory_gb, versions
from robsynth.records.record import FAILED, RUN, STAGES, Record
from robsynth.reports import render


@dataclass(frozen=True)
class Cost:
    """What a stage will take.

    `passes` are the passes of single images, there or back, by the name of the network that they go through; at most
    `batch` images are on the way at once, beside `copies` of the weights.
    """

    what: str
    passes: dict[str, int] = field(default_factory=dict)
    batch: int = 1
    copies: int = 1


@dataclass(frozen=True)
class Stage:
    """A piece of a run's work, done once in its life, after the stages that it `needs`.

    `work` gives a JSON-like result. `files` in it are paths below the run's directory, `sha1` the first one's digest:
    if a file has been lost, or that one changed, the stage is done again. `figures`, `protocols`, `warnings`,
    `history`, `pictures` and `data` go into the record; `wall_seconds`, `cpu_seconds` and `gpu_seconds` stand for the
    stage's own measure of its cost. All processes of a run do the work, each its share, and the result is rank 0's;
    `alone` rank 0 does it while the others wait.
    """

    name: str
    work: Callable[[Context], Result]
    cost: Callable[[Context], Cost]
    needs: tuple[str, ...] = ()
    alone: bool = False


def as_result(figures: list[Figure], warnings: list[str]) -> Result:
    """Figures with their protocols, as a stage keeps them."""
    return {
        "figures": [figure.as_dict() for figure in figures],
        "protocols": {figure.protocol.name: figure.protocol.details for figure in figures},
        "warnings": warnings,
    }


Answer = Callable[[Context, Record, dict[str, str]], dict[str, Any]]
Report = Callable[[Path], dict[str, Path]]


def report_beside(directory: Path) -> dict[str, Path]:
    """Tables, plots and the page of a run, in its directory."""
    return render(directory, directory / "report")


def run_stages(
    context: Context, stages: Sequence[Stage], answer: Answer, report: Report = report_beside
) -> dict[str, Any]:
    """Do what is not done yet; log, record and report it; gives the command's answer, told what was written."""
    context.started = processes.once(lambda: _claim(context))
    with context.tracking as tracking:
        for stage in stages:
            assert all(need in context.results for need in stage.needs), stage.name
            _do(context, stage)
            if "history" in context.results[stage.name]:
                tracking.history(*_history(stage.name, context.results[stage.name]))

        def finish() -> dict[str, Any]:
            record = make_record(context)
            path = record.save(context.directory)
            tracking.record(record)
            written = {name: str(file) for name, file in report(context.directory).items()}
            return answer(context, record, {**written, "record": str(path)})

        return processes.once(finish)


def _claim(context: Context) -> str:
    """The run's directory is this context's; gives when the run was first started."""
    content = {"run": context.name, "identity": context.identity}
    manifest = claim(context.directory, RUN, content, "a run", context.config.force)
    (context.directory / FAILED).unlink(missing_ok=True)
    write_text(context.directory / "config.yaml", to_yaml(context.config))
    return str(manifest["started"])


def _do(context: Context, stage: Stage) -> None:
    """The result of a stage: computed now, or when it was first."""
    done = processes.once(lambda: _done(context, stage.name))
    if done is None:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            result = processes.once(lambda: stage.work(context)) if stage.alone else stage.work(context)
        except (processes.Elsewhere, Pruned):
            raise
        except Exception as error:
            _leave_word(context, stage.name, error)
            raise
        spent = torch.tensor(time.process_time() - cpu, dtype=torch.float64)
        # Waits for all: only then is the stage done.
        cpu, wall = float(processes.total(spent)), time.perf_counter() - wall
        done = processes.once(lambda: _finished(context, stage, result, wall, cpu))
    context.rows.append({key: value for key, value in done.items() if key != "result"})
    context.results[stage.name] = done["result"]


def _path(context: Context, stage: str) -> Path:
    return context.directory / STAGES / f"{stage}.json"


def _done(context: Context, stage: str) -> dict[str, Any] | None:
    """A stage as it was left, if nothing of it is lost."""
    title = f"[{len(context.rows) + 1:>2}] {stage}"
    if not _path(context, stage).exists():
        say(title)
        return None
    done = read_json(_path(context, stage))
    trouble = _trouble(context.directory, done["result"])
    say(f"{title}: {trouble}, so again" if trouble else f"{title}: done before")
    return None if trouble else done


def _trouble(directory: Path, result: Result) -> str | None:
    files: list[str] = result.get("files", [])
    if lost := [file for file in files if not (directory / file).exists()]:
        return f"{lost[0]} is gone"
    if "sha1" in result and file_sha1(directory / files[0]) != result["sha1"]:
        return f"{files[0]} is not what it was"
    return None


def _finished(context: Context, stage: Stage, result: Result, wall: float, cpu: float) -> dict[str, Any]:
    costs = {"wall_seconds": wall, "cpu_seconds": cpu}
    if context.machine.device.type == "cuda":
        costs["gpu_seconds"] = wall * (1 if stage.alone else processes.started())
    done = {
        "name": stage.name,
        **{key: result.pop(key, round(value, 2)) for key, value in costs.items()},
        "peak_memory_gb": peak_memory_gb(),
        **({"peak_gpu_memory_gb": peak_gpu_memory_gb(context.machine.device)} if "gpu_seconds" in costs else {}),
        "processes": processes.started(),
        "finished": now(),
        "commit": git_commit(),
        "result": result,
    }
    write_json(_path(context, stage.name), done)
    return done


def _leave_word(context: Context, stage: str, error: Exception) -> None:
    """Of a failure, where there is still a place for it."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    with suppress(RunError):
        write_json(context.directory / FAILED, {"stage": stage, "error": reason, "when": now()})


def _history(stage: str, result: Result) -> tuple[str, list[dict[str, float]]]:
    return stage.removeprefix("train "), result["history"]


def make_record(context: Context) -> Record:
    """The record of a run from what its stages have left so far."""
    config, results = context.config, list(context.results.values())
    data = [result["data"] for result in results if "data" in result]
    trained = dict(_history(name, result) for name, result in context.results.items() if "history" in result)
    return Record(
        run=context.name,
        command=context.command,
        experiment=getattr(config, "experiment", None),
        scale=getattr(config, "scale", None),
        started=context.started,
        finished=max((row["finished"] for row in context.rows), default=now()),
        seed=config.seed,
        commit=git_commit(),
        versions=versions(),
        machine=machine(context.machine),
        config={**asdict(config), "out": config.out and shown(Path(config.out))},
        data=data[0] if data else about_data(context),
        stages=context.rows,
        figures=[figure for result in results for figure in result.get("figures", [])],
        protocols={name: details for result in results for name, details in result.get("protocols", {}).items()},
        history={**{name: rows for result in results for name, rows in result.get("inherited", {}).items()}, **trained},
        pictures=[picture for result in results for picture in result.get("pictures", [])],
        warnings=[warning for result in results for warning in result.get("warnings", [])],
    )


def about_data(context: Context) -> dict[str, Any]:
    """What a record says of the data set."""
    data = context.data
    return {
        "name": data.name,
        "source": data.source,
        "fingerprint": data.fingerprint,
        "train": len(data.train),
        "test": len(data.test),
        "label_names": list(data.label_names),
    }
