"""Adversarial training (Madry et al., 2018): the primitive again, with the loss as its objective."""

from collections.abc import Mapping
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from robsynth import processes
from robsynth.classifiers import Classifier
from robsynth.classifiers.synced import with_synced_batch_norms
from robsynth.config import Adversary, Recipe
from robsynth.data import ImageSet
from robsynth.data.augment import augment
from robsynth.data.batches import Portion
from robsynth.randomness import generator
from robsynth.training.held_out import HeldOut
from robsynth.training.methods import training_method
from robsynth.training.tally import Tally, finite


class AdversarialTraining(pl.LightningModule):
    """min over weights of max over the ball of L(f(x), y), with the adversary as a part.

    Augmentation and attacks draw from (seed, epoch, batch) for the whole batch, so that they depend neither on a resume
    nor on how many processes share the batch. `held_out` are training images that are kept aside: after each epoch
    they say how robust the network is.
    """

    def __init__(
        self, network: Classifier, adversary: Adversary, recipe: Recipe, seed: int, held_out: ImageSet | None = None
    ) -> None:
        super().__init__()
        self.network = with_synced_batch_norms(network) if processes.count() > 1 else network
        self.adversary, self.settings, self.seed = adversary, recipe, seed
        self.average = averaged(self.network, recipe.ema) if recipe.ema else None
        self.method = training_method(adversary, recipe.label_smoothing)
        self.held_out = None if held_out is None else HeldOut(held_out, adversary, seed)
        self.tally = Tally()

    @property
    def kept(self) -> Classifier:
        """The network that the training is for: the weights' moving average, where there is one."""
        return self.network if self.average is None else cast(Classifier, self.average.module)

    @property
    def portion(self) -> Portion:
        return self.trainer.datamodule.portion  # type: ignore[attr-defined]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        portion = self.portion
        # A batch that comes again is the same batch.
        number = batch_idx // (self.adversary.replays or 1)
        noise = portion.share(generator(self.seed, "train", self.current_epoch, number))
        images = augment(images, self.settings.augment, noise)
        losses, logits = self.method(self.network, images, labels, noise)
        right = (logits.argmax(1) == labels).sum().float()
        sums = processes.total(torch.stack([losses.detach().sum().float(), right]))
        loss, accuracy = (sums / portion.total).tolist()
        self.tally.add(loss=finite(loss, self.global_step), accuracy=accuracy)
        self.log("loss", loss, prog_bar=True)
        # Processes' gradients are averaged: so each loss is its share of the whole batch's mean, times their number.
        return losses.sum() * (processes.count() / portion.total)

    def on_after_backward(self) -> None:
        self.method.after_backward()

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def after_epoch(self) -> dict[str, float]:
        """The epoch's means, and what the held-out images say of the network."""
        means = self.tally.means()
        if self.held_out is None:
            return means
        with self.trainer.precision_plugin.forward_context():
            return {**means, **self.held_out.look(self.kept)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["method"] = self.method.state()
        checkpoint["tally"] = self.tally.state()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        self.method.load(checkpoint["method"], self.portion.first, self.portion.last)
        self.tally.load(checkpoint["tally"])

    def configure_optimizers(self) -> Any:
        s = self.settings
        optimiser = torch.optim.SGD(
            self.network.parameters(),
            s.learning_rate,
            s.momentum,
            weight_decay=s.weight_decay,
            nesterov=s.nesterov and s.momentum > 0,
        )
        if s.schedule == "steps":
            drops = torch.optim.lr_scheduler.MultiStepLR(optimiser, sorted(s.drops), gamma=0.1)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": drops, "interval": "epoch"}}
        # Counted here: Lightning's own estimate would begin to read images before a resumed epoch is known.
        batches = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = (self.trainer.max_epochs or 0) * len(batches) // batches.parts
        # The schedule needs a step before its peak: the shortest training of all has one step.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, s.learning_rate, total_steps=max(steps, 2), cycle_momentum=False
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def averaged(network: Classifier, decay: float) -> AveragedModel:
    """A moving average of the network's weights and of batch norm's statistics, of that decay a step."""
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    average.requires_grad_(False)
    return average
