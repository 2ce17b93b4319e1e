"""robsynth as its commands use it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from speed_ways.turns import Turns
from torch import Tensor

from robsynth.classifiers import Classifier
from robsynth.config import Config
from robsynth.data import DataSet
from robsynth.data.batches import Batches
from robsynth.machine import resolve_precision
from robsynth.tasks import Synthesis
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.fit import fit

CPU = torch.device("cpu")


class Clocked(AdversarialTraining):
    """Adversarial training of which every epoch is a turn."""

    turns: Turns

    def on_train_epoch_start(self) -> None:
        self.turns.start()

    def on_train_epoch_end(self) -> None:
        self.turns.stop()


def train(classifier: Classifier, config: Config, data: DataSet, folder: Path, turns: Turns) -> None:
    """Train in place, as `robsynth train` does; every epoch is a turn."""
    recipe = config.recipe
    module = Clocked(classifier, config.adversary, recipe, config.seed)
    module.turns = turns
    batches = Batches(data, recipe.batch_size, config.seed, recipe.workers)
    fit(module, batches, recipe.epochs, folder, CPU, resolve_precision(config.precision, CPU), recipe.ema)


def painter(synthesis: Synthesis) -> Any:
    """A function from image numbers to generated images, which draws their start images itself."""

    def paint(indices: Tensor, steps: int) -> Tensor:
        return replace(synthesis, settings=replace(synthesis.settings, steps=steps)).run(indices)[1]

    return paint
