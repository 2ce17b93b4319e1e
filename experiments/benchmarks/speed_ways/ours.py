"""Training as `robsynth train` does it, epoch by epoch."""

from pathlib import Path

from robsynth.classifiers import Classifier
from robsynth.config.commands import Config
from robsynth.data import DataSet
from robsynth.data.batches import Batches
from robsynth.machine import resolve_machine
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.fit import fit
from speed_ways.turns import Turns


class Clocked(AdversarialTraining):
    """Adversarial training of which every epoch is a turn."""

    turns: Turns

    def on_train_epoch_start(self) -> None:
        self.turns.start()

    def on_train_epoch_end(self) -> None:
        self.turns.stop()


def train(classifier: Classifier, config: Config, data: DataSet, folder: Path, turns: Turns) -> None:
    """Train in place; every epoch is a turn."""
    recipe = config.recipe
    module = Clocked(classifier, config.adversary, recipe, config.seed)
    module.turns = turns
    batches = Batches(data.train, recipe.batch_size, config.seed, recipe.workers)
    fit(module, batches, recipe.epochs, folder, resolve_machine("cpu", config.precision))
