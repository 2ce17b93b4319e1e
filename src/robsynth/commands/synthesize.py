import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.baselines.generator import KIND
from robsynth.classifiers import find_checkpoint, is_safetensors, read_checkpoint
from robsynth.config import Config
from robsynth.config.compose import resolved
from robsynth.data import DataSet, load_data
from robsynth.errors import RequestError
from robsynth.files import digest, file_sha1
from robsynth.lab.pictures import COLUMNS, ROWS, save_png, store_grid
from robsynth.lab.run import now
from robsynth.lab.synthesis import Around, open_studio, sample_generator, synthesize
from robsynth.lab.trackers import Job, Tracking
from robsynth.machine import resolve_device, resolve_precision
from robsynth.records.provenance import git_commit, machine, peak_memory_gb, versions
from robsynth.records.record import FILE, Record, load_record
from robsynth.reports import gallery
from robsynth.samples import SampleStore, load_samples
from robsynth.samples.store import MANIFEST

PICTURE, PAGE = "picture.png", "index.html"


def run(config: Config) -> dict[str, Any]:
    """A task's images into a sample store, with a picture of the first, and a record."""
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    load = cache(lambda: load_data(config.dataset))
    named = config.classifier.checkpoint
    checkpoint = find_checkpoint(named, "checkpoint") if named else None
    name = _name(config, checkpoint, precision)
    directory = Path(config.out or Path("outputs") / name)
    around = partial(_recorded, config=config, name=name, machine=machine(device.type, precision))
    if checkpoint and is_safetensors(checkpoint) and read_checkpoint(checkpoint)[0] == KIND:
        store = _from_gan(config, checkpoint, load(), directory, around)
    else:
        studio = open_studio(config, device, precision, load)
        store = synthesize(studio, config.task, directory, config.force, around)
    place = store.directory
    left = {"picture": place / PICTURE, "page": place / PAGE, "record": place / FILE}
    return {"samples": str(place), "count": store.count, **{key: str(path) for key, path in left.items()}}


@contextmanager
def _recorded(store: SampleStore, config: Config, name: str, machine: dict[str, Any]) -> Iterator[None]:
    """Log the making of images, and leave their picture and their record."""
    started = datetime.fromtimestamp((store.directory / MANIFEST).stat().st_mtime, UTC).isoformat(timespec="seconds")
    job = Job(name, "synthesize", started, store.directory, resolved(config), config.tracker)
    missing = len(store.missing())
    wall, cpu = time.perf_counter(), time.process_time()
    with Tracking(job) as tracking:
        yield
        spent = float(processes.total(torch.tensor(time.process_time() - cpu, dtype=torch.float64)))
        stage = {
            "name": f"synthesize {config.task}" + ("" if missing == len(store.shards) else f", {missing} last shards"),
            "wall_seconds": round(time.perf_counter() - wall, 2),
            "cpu_seconds": round(spent, 2),
            "peak_memory_gb": peak_memory_gb(),
            "finished": now(),
            "commit": git_commit(),
        }
        processes.once(lambda: _finish(store, job, machine, [stage] if missing else [], tracking))


def _finish(
    store: SampleStore, job: Job, machine: dict[str, Any], stages: list[dict[str, Any]], tracking: Tracking
) -> None:
    """The record of a store; what was recorded before of images that were there already stays."""
    picture = _show(store, job.config["task"])
    if stages or not (store.directory / FILE).is_file():
        record = Record(
            run=job.name,
            command=job.command,
            experiment=job.config["experiment"],
            scale=job.config["scale"],
            started=job.started,
            finished=now(),
            seed=job.config["seed"],
            commit=git_commit(),
            versions=versions(),
            machine=machine,
            config=job.config,
            data=_painted(store),
            stages=stages,
            figures=[],
            protocols={},
            pictures=[{"name": job.config["task"], "file": PICTURE, "caption": picture}],
        )
        record.save(store.directory)
    tracking.record(load_record(store.directory))


def _painted(store: SampleStore) -> dict[str, Any]:
    """What a record says of the data: the classifier's, and what the images started from."""
    about = store.manifest
    source = about.get("originals") or "painted from a classifier or generator alone"
    return {"name": about["dataset"], "source": source, "fingerprint": "none",
            "checkpoint": about["checkpoint"], "label_names": about["label_names"]}  # fmt: skip


def _show(store: SampleStore, task: str) -> str:
    """Leave a picture of the first images, and a page around it; returns what they show."""
    about, names = store.manifest, store.manifest["label_names"]
    found = load_samples(store.directory, most=COLUMNS * min(len(names), ROWS))
    save_png(store.directory / PICTURE, store_grid(found, task))
    assert found.wanted is not None
    original = ["original"] if found.original is not None else []
    rows = [names[i] for i in sorted(set(found.wanted.tolist()))][:ROWS]
    rows = rows if task == "generation" else ["input", "result", *original]
    facts: dict[str, Any] = {
        key: about[key] for key in ("task", "dataset", "settings", "checkpoint", "seed") if key in about
    }
    title = f"{store.count} images of {task.replace('_', ' ')}"
    gallery(store.directory / PAGE, title, (store.directory / PICTURE).read_bytes(), rows, facts)
    return f"{title}; rows: {', '.join(rows)}"


def _name(config: Config, checkpoint: Path | None, precision: str) -> str:
    """Equal requests have equal names, whatever was asked for besides."""
    asked = [
        asdict(config.tasks[config.task]), config.task, file_sha1(checkpoint) if checkpoint else None,
        asdict(config.classifier), config.ensemble, asdict(config.dataset), asdict(config.originals), config.inputs,
        config.masks, asdict(config.samples), config.seed, precision,
    ]  # fmt: skip
    return f"samples-{config.task}-{digest(asked)}"


def _from_gan(config: Config, checkpoint: Path, data: DataSet, directory: Path, around: Around) -> SampleStore:
    if config.task != "generation":
        raise RequestError(f"checkpoint: {checkpoint} holds a {KIND} generator; {config.task} needs a classifier")
    return sample_generator(
        checkpoint, data, directory, config.samples.count, config.samples.batch_size, config.seed,
        resolve_device(config.device), config.force, around,
    )  # fmt: skip
