"""How networks are trained."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice, number
from robsynth.config.networks import Network


@dataclass
class Adversary:
    """What is done to a training batch; eps and step size in pixels of [0, 1]."""

    norm: str = choice("l2", "linf", "none")
    eps: float = number(least=0)
    steps: int = number(least=1)
    step_size: float = number(above=0)
    random_start: bool = False
    keep: str = choice("best", "last", default="best")


@dataclass
class Augmentation:
    """How a training batch is changed at random, image by image.

    Shifts in pixels, colours by factors 1 +- `jitter`, rotations by up to `rotation` degrees, `lighting` the
    deviation of the noise along the colours' principal axes (Krizhevsky et al., 2012).
    """

    shift: int = number(least=0)
    flip: bool = False
    jitter: float = field(default=0.0, metadata={"least": 0, "most": 1})
    rotation: float = field(default=0.0, metadata={"least": 0})
    lighting: float = field(default=0.0, metadata={"least": 0})


@dataclass
class Recipe:
    """How a network is trained: by SGD, with the learning rate in one cycle or a tenth after each of `drops`.

    `ema` is the decay of the weights' moving average, of which the trained network is made; 0 for none.
    `start` is a checkpoint to begin from; a head for other classes begins anew.
    """

    epochs: int = number(least=1)
    batch_size: int = number(least=2)
    learning_rate: float = number(above=0)
    momentum: float = number(least=0, most=1)
    weight_decay: float = number(least=0)
    schedule: str = choice("one_cycle", "steps")
    drops: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    ema: float = field(default=0.0, metadata={"least": 0, "most": 1})
    augment: Augmentation = field(default_factory=Augmentation)
    workers: int = field(default=0, metadata={"least": 0})
    start: str | None = None


@dataclass
class Judge:
    """A standard classifier that says what it sees; "none" does without. With a `checkpoint` none is trained."""

    name: str = choice("residual", "none")
    checkpoint: str | None = None
    network: Network = field(default_factory=Network)
    recipe: Recipe = field(default_factory=Recipe)


@dataclass
class Baseline:
    """A conditional WGAN-GP (Gulrajani et al., 2017)."""

    name: str = choice("wgan_gp", "none")
    epochs: int = number(least=1)
    batch_size: int = number(least=2)
    critic_steps: int = number(least=1)
    latent: int = number(least=1)
    width: int = number(least=8)
    learning_rate: float = number(above=0)
    penalty: float = number(least=0)
    ema: float = number(least=0, most=1)
