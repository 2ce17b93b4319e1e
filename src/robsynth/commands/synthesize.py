from pathlib import Path
from typing import Any

from robsynth.baselines.wgan_gp import KIND
from robsynth.classifiers import read_checkpoint
from robsynth.config import Config
from robsynth.data import load_data
from robsynth.errors import RequestError
from robsynth.files import digest, file_sha1, writable_directory
from robsynth.machine import resolve_device, resolve_precision
from robsynth.runs.synthesis import open_synthesis, sample_generator, synthesize


def run(config: Config) -> dict[str, Any]:
    """A task's images into a sample store."""
    if config.checkpoint is None:
        raise RequestError("checkpoint: none given, allowed: a file of `robsynth train` or `robsynth reproduce`")
    checkpoint = Path(config.checkpoint)
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    kind, _, _ = read_checkpoint(checkpoint)
    data = load_data(config.dataset)
    settings = config.tasks[config.task]
    count, size = config.samples.count, config.samples.batch_size
    name = digest(
        [
            str(settings),
            config.task,
            file_sha1(checkpoint),
            count,
            size,
            config.seed,
            precision,
            data.fingerprint,
        ]
    )
    directory = Path(config.out or Path("outputs") / f"samples-{config.task}-{name}")
    if kind == KIND:
        if config.task != "generation":
            raise RequestError(f"checkpoint: {checkpoint} holds a {kind} generator; {config.task} needs a classifier")
        store = sample_generator(
            checkpoint, data, writable_directory(directory), count, size, config.seed, device, config.force
        )
    else:
        synthesis = open_synthesis(config.task, settings, checkpoint, data, config.seed, device, precision)
        store = synthesize(synthesis, checkpoint, writable_directory(directory), count, size, config.force)
    return {"samples": str(store.directory), "count": store.count}
