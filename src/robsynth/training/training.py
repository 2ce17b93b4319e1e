"""The training of a classifier, from settings and data to a checkpoint."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from robsynth import processes
from robsynth.classifiers import (
    Classifier,
    ImageSpec,
    architecture,
    build_classifier,
    find_checkpoint,
    load_classifier,
    save_classifier,
)  # fmt: skip
from robsynth.config import Adversary, Network, Recipe
from robsynth.data import DataSet
from robsynth.data.batches import Batches
from robsynth.errors import RequestError
from robsynth.machine import Machine
from robsynth.progress import say
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.fit import OnEpoch, fit, warning
from robsynth.training.held_out import hold_out, onsets, wants_guard

UNGUARDED = "one attack step, and recipe.held_out is 0: catastrophic overfitting would not be noticed"


class Trained(NamedTuple):
    """What a training leaves: its checkpoint, a row of metrics and costs an epoch, and what was odd."""

    checkpoint: Path
    rows: list[dict[str, float]]
    warnings: list[str]


@dataclass(frozen=True)
class Training:
    """A network, against what and how it is trained, and on which data; `images` are these as it takes them."""

    network: Network
    adversary: Adversary
    recipe: Recipe
    data: DataSet
    images: ImageSpec
    seed: int

    def run(self, directory: Path, machine: Machine, on_epoch: OnEpoch) -> Trained:
        """Train, or go on where a killed one was, into `directory`/classifier.safetensors.

        Raises
        ------
        RequestError
            If the settings do not fit the data, or the weights to begin from the network.
        RunError
            As `fit`.
        """
        adversary, recipe = self.adversary, self.recipe
        untrained = self._untrained()
        images, held_out = hold_out(self.data.train, recipe.held_out)
        warnings = [UNGUARDED] if held_out is None and wants_guard(adversary) else []
        for line in warnings:
            say(f"warning: {line}")
        module = AdversarialTraining(untrained, adversary, recipe, self.seed, held_out)
        batches = Batches(images, recipe.batch_size, self.seed, recipe.workers, recipe.accumulate,
                          adversary.replays or 1)  # fmt: skip
        diary = fit(module, batches, recipe.epochs, directory, machine, on_epoch, recipe.save_every)
        about = {
            **architecture(self.network),
            "channels": self.data.shape[0],
            "shape": list(self.data.shape),
            "dataset": self.data.name,
            "fingerprint": self.data.fingerprint,
            "label_names": list(self.data.label_names),
            "adversary": asdict(adversary),
            "recipe": asdict(recipe),
            "seed": self.seed,
            "held_out": None if held_out is None else {"images": held_out.name, "fingerprint": held_out.fingerprint},
            "epoch": int((diary.chosen or diary.rows[-1])["epoch"]),
        }
        checkpoint = directory / "classifier.safetensors"
        processes.once(lambda: save_classifier(checkpoint, module.kept, about))
        return Trained(checkpoint, diary.rows, [*warnings, *map(warning, onsets(diary.rows))])

    def _untrained(self) -> Classifier:
        network, images = self.network, self.images
        untrained = build_classifier(
            network.arch, network.widths, images.shape[0], len(images.label_names), images.mean, images.std, self.seed,
            depth=network.depth, widen=network.widen,
        )  # fmt: skip
        if self.recipe.start is not None:
            begin_from(untrained, self.recipe.start)
        return untrained


def begin_from(network: Classifier, checkpoint: str) -> None:
    """Copy a trained classifier's weights; a head for another number of classes stays as it is."""
    trained, _ = load_classifier(find_checkpoint(checkpoint, "recipe.start"), "recipe.start")
    weights, own = trained.state_dict(), network.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if unfit := [name for name in own if name not in fitting and not name.startswith(("head.", "mean", "std"))]:
        raise RequestError(f"recipe.start: {checkpoint} is of another architecture ({unfit[0]} differs)")
    normalisation = {"mean": network.mean, "std": network.std}
    network.load_state_dict({**own, **fitting, **normalisation})
