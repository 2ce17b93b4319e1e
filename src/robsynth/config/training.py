"""How networks are trained."""

from dataclasses import dataclass

from robsynth.config.fields import Contradictions, choice, number, setting
from robsynth.config.networks import Network
from robsynth.config.registry import NORMS

METHODS = {"pgd": (), "free": ("replays",), "trades": ("beta",)}


@dataclass
class Adversary:
    """What is done to a training batch.

    By method: on what the attack finds (Madry et al., 2018); with one backward pass for weights and images (Shafahi et
    al., 2019); on the images, with the divergence that the attack finds (Zhang et al., 2019).
    """

    norm: str = choice(NORMS, help="of the ball; none: standard training")
    eps: float = number(least=0, help="its radius; pixels in [0, 1]")
    steps: int = number(least=1, help="of the attack")
    step_size: float = number(above=0, help="length of one, in the norm")
    random_start: bool = setting(False, help="whether it starts at random in the ball")
    keep: str = choice(("best", "last"), default="best", help="which point of its path")
    method: str = choice(METHODS, default="pgd", beside="needed", help="of adversarial training")
    beta: float | None = number(above=0, default=None, help="weight of the divergence (trades)")
    replays: int | None = number(least=1, default=None, help="how often each batch comes (free)")

    def contradictions(self) -> Contradictions:
        # At the image itself the divergence has its minimum and no gradient.
        start = self.method != "trades" or self.random_start
        yield not start, "random_start", "allowed: true, as trades has nowhere to go without"
        no_ball = self.method != "pgd" and self.norm == "none"
        yield no_ball, "norm", f"allowed: l2, linf, as {self.method} needs a ball"
        yield self.method == "free" and self.steps != 1, "steps", "allowed: 1, as free makes one a pass"


@dataclass
class Augmentation:
    """How a training batch is changed at random, image by image."""

    shift: int = number(least=0, help="up to so many pixels")
    flip: bool = setting(False, help="whether left and right are exchanged")
    jitter: float = number(least=0, most=1, default=0.0, help="colours by factors 1 +- this")
    rotation: float = number(least=0, default=0.0, help="up to so many degrees")
    lighting: float = number(least=0, default=0.0, help="deviation along the colours' axes (Krizhevsky et al., 2012)")


@dataclass
class Recipe:
    """How a network is trained, by SGD."""

    epochs: int = number(least=1, help="passes over the data")
    batch_size: int = number(least=2, help="images of one step, in all processes and parts together")
    learning_rate: float = number(above=0, help="the highest")
    momentum: float = number(least=0, most=1, help="of SGD")
    nesterov: bool = setting(False, help="whether it looks ahead (Nesterov); the authors' does not")
    weight_decay: float = number(least=0, help="of SGD")
    schedule: str = choice(("one_cycle", "steps"), help="of the learning rate: one cycle, or a tenth at each drop")
    drops: list[int] = number(least=1, default=list, help="epochs after which it drops")
    ema: float = number(least=0, most=1, default=0.0, help="decay of the weights' moving average; 0: the weights alone")
    augment: Augmentation = setting(Augmentation, help="how images are changed at random")
    workers: int = number(least=0, default=0, help="processes that load images")
    start: str | None = setting(None, help="a checkpoint to begin from; a head for other classes begins anew")
    accumulate: int = number(least=1, default=1, help="parts of a batch, one after the other")
    label_smoothing: float = number(least=0, most=0.9, default=0.0, help="probability given to other classes")
    held_out: int = number(least=0, default=0, help="training images that choose the epoch; 0: the last is kept")
    save_every: int | None = number(least=1, default=None, help="steps between checkpoints within an epoch")

    def contradictions(self) -> Contradictions:
        uneven = self.batch_size % self.accumulate
        yield uneven, "accumulate", f"allowed: a divisor of batch_size, which is {self.batch_size}"


@dataclass
class Judge:
    """A standard classifier that says what it sees."""

    name: str = choice(("residual", "none"), help="none: do without")
    checkpoint: str | None = setting(None, help="a trained one, instead of training")
    network: Network = setting(Network, help="its network")
    recipe: Recipe = setting(Recipe, help="its training")


@dataclass
class Baseline:
    """The rival: a conditional WGAN-GP (Gulrajani et al., 2017)."""

    name: str = choice(("wgan_gp", "none"), help="none: do without")
    epochs: int = number(least=1, help="passes over the data")
    batch_size: int = number(least=2, help="images of one step")
    critic_steps: int = number(least=1, help="of the critic for one of the generator")
    latent: int = number(least=1, help="dimensions of the noise")
    width: int = number(least=8, help="channels of the first layer")
    learning_rate: float = number(above=0, help="of Adam")
    penalty: float = number(least=0, help="weight of the gradient penalty")
    ema: float = number(least=0, most=1, help="decay of the generator's moving average")
