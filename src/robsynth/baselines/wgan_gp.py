"""A small conditional WGAN-GP (Gulrajani et al., 2017), the rival of the paper's Table 1: its training."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from robsynth.baselines.generator import Generator
from robsynth.config import Baseline
from robsynth.errors import RequestError
from robsynth.randomness import generator, uniform
from robsynth.training.tally import Tally, finite


class Critic(nn.Module):
    """Images (N, C, H, W) and labels (N,) to values (N,); the class enters by projection (Miyato & Koyama, 2018)."""

    def __init__(self, width: int, classes: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_down(channels, width), _down(width, 2 * width), _down(2 * width, 4 * width))
        self.value = nn.Linear(4 * width, 1)
        self.embed = nn.Embedding(classes, 4 * width)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.body(images).sum((2, 3)) / 4
        return self.value(features)[:, 0] + (self.embed(labels) * features).sum(1)


def _down(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2))


class GanTraining(pl.LightningModule):
    """`critic_steps` critic updates for each update of the generator; samples come from its moving average."""

    def __init__(self, settings: Baseline, classes: int, shape: tuple[int, int, int], seed: int) -> None:
        super().__init__()
        if shape[1] % 8 or shape[1] != shape[2]:
            raise RequestError(
                f"baseline: images are {shape[1]}x{shape[2]}, allowed: squares of a multiple of 8 pixels"
            )
        self.automatic_optimization = False
        self.tally = Tally()
        self.settings, self.seed = settings, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(seed, "gan weights").initial_seed())
            self.generator = Generator(settings.latent, settings.width, classes, shape)
            self.critic = Critic(settings.width, classes, shape[0])
        self.average = Generator(settings.latent, settings.width, classes, shape).requires_grad_(False)
        self.average.load_state_dict(self.generator.state_dict())

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        rate, betas = self.settings.learning_rate, (0.0, 0.9)
        return [
            torch.optim.Adam(self.generator.parameters(), rate, betas),
            torch.optim.Adam(self.critic.parameters(), rate, betas),
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        noise = generator(self.seed, "gan", self.current_epoch, batch_idx)
        optimisers: Any = self.optimizers()
        for_generator, for_critic = optimisers

        with torch.no_grad():
            fakes = self.generator(self._latents(images, noise), labels)
        gap = (self.critic(fakes, labels) - self.critic(images, labels)).mean()
        loss = gap + self.settings.penalty * self._gradient_penalty(images, fakes, labels, noise)
        finite(loss.item(), self.global_step)
        self._update(for_critic, loss)
        self.tally.add(critic_gap=-gap.item())
        self.log("critic_gap", -gap.detach(), prog_bar=True)

        if batch_idx % self.settings.critic_steps == self.settings.critic_steps - 1:
            loss = -self.critic(self.generator(self._latents(images, noise), labels), labels).mean()
            self._update(for_generator, loss)
            self._average()

    @property
    def kept(self) -> Generator:
        """The generator whose weights are averaged."""
        return self.average

    def after_epoch(self) -> dict[str, float]:
        return self.tally.means()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["tally"] = self.tally.state()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        self.tally.load(checkpoint["tally"])

    def _latents(self, like: Tensor, noise: torch.Generator) -> Tensor:
        return torch.randn(len(like), self.settings.latent, generator=noise).to(like.device)

    def _update(self, optimiser: Any, loss: Tensor) -> None:
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()

    def _gradient_penalty(self, images: Tensor, fakes: Tensor, labels: Tensor, noise: torch.Generator) -> Tensor:
        share = uniform(images[:, :1, :1, :1], noise)
        between = (share * images + (1 - share) * fakes).requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.critic(between, labels).sum(), between, create_graph=True)
        return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()

    @torch.no_grad()
    def _average(self) -> None:
        for mean, value in zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - self.settings.ema)
            else:
                mean.copy_(value)
