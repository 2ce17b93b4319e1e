"""Adversarial training (Madry et al., 2018): the primitive again, with the loss as its objective."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robsynth.classifiers import Classifier
from robsynth.config import Adversary, Recipe
from robsynth.data.augment import augment
from robsynth.randomness import generator
from robsynth.training.attack import attack
from robsynth.training.fit import finite


class AdversarialTraining(pl.LightningModule):
    """min over weights of max over the ball of L(f(x), y); the plain loss where the adversary's norm is "none".

    Augmentation and attacks draw from (seed, epoch, batch), so that they do not depend on a resume.
    """

    def __init__(self, network: Classifier, adversary: Adversary, recipe: Recipe, seed: int) -> None:
        super().__init__()
        self.network, self.adversary, self.settings, self.seed = network, adversary, recipe, seed

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        noise = generator(self.seed, "train", self.current_epoch, batch_idx)
        images = augment(images, self.settings.augment, noise)
        if self.adversary.norm != "none":
            images = attack(self.network, images, labels, self.adversary, noise)
        logits = self.network(images)
        loss = finite(cross_entropy(logits, labels), self)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        right = (logits.argmax(1) == labels).float().mean()
        self.log("accuracy", right, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        s = self.settings
        optimiser = torch.optim.SGD(
            self.network.parameters(),
            s.learning_rate,
            s.momentum,
            weight_decay=s.weight_decay,
            nesterov=s.momentum > 0,
        )
        if s.schedule == "steps":
            drops = torch.optim.lr_scheduler.MultiStepLR(optimiser, sorted(s.drops), gamma=0.1)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": drops, "interval": "epoch"}}
        steps = int(self.trainer.estimated_stepping_batches)
        # The schedule needs a step before its peak: the shortest training of all has one step.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, s.learning_rate, total_steps=max(steps, 2), cycle_momentum=False
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
