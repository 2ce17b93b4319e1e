"""The training of the rival, from settings and data to a checkpoint."""

from dataclasses import asdict
from pathlib import Path

from robsynth.baselines.generator import save_generator
from robsynth.baselines.wgan_gp import GanTraining
from robsynth.config import Baseline
from robsynth.data import DataSet
from robsynth.data.batches import Batches
from robsynth.machine import Machine
from robsynth.training.fit import OnEpoch, fit
from robsynth.training.training import Trained


def train(
    settings: Baseline, data: DataSet, seed: int, directory: Path, machine: Machine, on_epoch: OnEpoch
) -> Trained:
    """Train a WGAN-GP, or go on where a killed training was, into `directory`/generator.safetensors."""
    module = GanTraining(settings, len(data.label_names), data.shape, seed)
    diary = fit(module, Batches(data.train, settings.batch_size, seed), settings.epochs, directory, machine, on_epoch)
    about = {
        "latent": settings.latent,
        "width": settings.width,
        "shape": list(data.shape),
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "label_names": list(data.label_names),
        "baseline": asdict(settings),
        "seed": seed,
    }
    checkpoint = directory / "generator.safetensors"
    save_generator(checkpoint, module.kept, about)
    return Trained(checkpoint, diary.rows, [])


def passes(settings: Baseline, images: int) -> dict[str, int]:
    """How often one image goes forward or backward through each of the two networks in a training on `images`."""
    batch = min(settings.batch_size, images)
    steps = settings.epochs * (images // batch)
    # Of the critic: three batches there and back, and one of them once more for the penalty.
    critic, generator = 7 * steps * batch, steps * batch
    of_generator = 2 * (steps // settings.critic_steps) * batch
    return {"critic": critic + of_generator, "generator": generator + of_generator}
