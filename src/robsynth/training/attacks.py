"""The adversary of a configuration, as the attack that it is."""

from torch import Tensor, nn

from robsynth import ascent
from robsynth.ascent import constraint
from robsynth.ascent.attack import attack
from robsynth.config import Adversary
from robsynth.randomness import Generators


def attacked(network: nn.Module, images: Tensor, labels: Tensor, s: Adversary, noise: Generators) -> Tensor:
    """What the adversary makes of `images` (n, C, H, W); of `noise` a random start is drawn, where it has one."""
    ball, start = constraint(s.norm, s.eps), noise if s.random_start else None
    return attack(network, images, labels, ball, s.steps, s.step_size, s.keep, start)


def passes(s: Adversary) -> int:
    """How often an image that is attacked goes forward or backward through the network."""
    return ascent.passes(s.steps, s.keep)
