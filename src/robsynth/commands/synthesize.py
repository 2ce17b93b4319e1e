from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from robsynth import processes
from robsynth.baselines.wgan_gp import KIND
from robsynth.classifiers import find_checkpoint, is_safetensors, read_checkpoint
from robsynth.config import Config
from robsynth.data import DataSet, load_data
from robsynth.errors import RequestError
from robsynth.files import digest, file_sha1
from robsynth.machine import resolve_device, resolve_precision
from robsynth.reports import gallery
from robsynth.runs.pictures import COLUMNS, ROWS, save_png, store_grid
from robsynth.runs.synthesis import open_studio, sample_generator, synthesize
from robsynth.samples import SampleStore, load_samples


def run(config: Config) -> dict[str, Any]:
    """A task's images into a sample store, and a picture of the first."""
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    load = cache(lambda: load_data(config.dataset))
    named = config.classifier.checkpoint
    checkpoint = find_checkpoint(named, "checkpoint") if named else None
    directory = Path(config.out or Path("outputs") / _name(config, checkpoint, precision))
    if checkpoint and is_safetensors(checkpoint) and read_checkpoint(checkpoint)[0] == KIND:
        store = _from_gan(config, checkpoint, load(), directory)
    else:
        studio = open_studio(config, device, precision, load)
        store = synthesize(studio, config.task, directory, config.force)
    return {"samples": str(store.directory), "count": store.count, **processes.once(lambda: _show(store, config))}


def _show(store: SampleStore, config: Config) -> dict[str, str]:
    """A picture of the first images, and a page around it."""
    picture, page = store.directory / "picture.png", store.directory / "index.html"
    about, names = store.manifest, store.manifest["label_names"]
    found = load_samples(store.directory, most=COLUMNS * min(len(names), ROWS))
    save_png(picture, store_grid(found, config.task))
    assert found.wanted is not None
    original = ["original"] if found.original is not None else []
    rows = [names[i] for i in sorted(set(found.wanted.tolist()))][:ROWS]
    rows = rows if config.task == "generation" else ["input", "result", *original]
    facts: dict[str, Any] = {
        key: about[key] for key in ("task", "dataset", "settings", "checkpoint", "seed") if key in about
    }
    title = f"{store.count} images of {config.task.replace('_', ' ')}"
    gallery(page, title, picture.read_bytes(), rows, facts)
    return {"picture": str(picture), "page": str(page)}


def _name(config: Config, checkpoint: Path | None, precision: str) -> str:
    """Equal requests have equal names, whatever was asked for besides."""
    asked = [
        asdict(config.tasks[config.task]), config.task, file_sha1(checkpoint) if checkpoint else None,
        asdict(config.classifier), config.ensemble, asdict(config.dataset), asdict(config.originals), config.inputs,
        config.masks, asdict(config.samples), config.seed, precision,
    ]  # fmt: skip
    return f"samples-{config.task}-{digest(asked)}"


def _from_gan(config: Config, checkpoint: Path, data: DataSet, directory: Path) -> SampleStore:
    if config.task != "generation":
        raise RequestError(f"checkpoint: {checkpoint} holds a {KIND} generator; {config.task} needs a classifier")
    return sample_generator(
        checkpoint, data, directory, config.samples.count, config.samples.batch_size, config.seed,
        resolve_device(config.device), config.force,
    )  # fmt: skip
