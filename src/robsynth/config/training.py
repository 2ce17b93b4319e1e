"""How networks are trained."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice, number
from robsynth.config.networks import Network
from robsynth.errors import RequestError


@dataclass
class Adversary:
    """What is done to a training batch; eps and step size in pixels of [0, 1].

    `method` is how the network is trained against it: "pgd" on what the attack finds (Madry et al., 2018), "free" with
    every batch `replays` times and one backward pass for weights and images (Shafahi et al., 2019), "trades" on the
    images, with `beta` times the divergence that the attack finds (Zhang et al., 2019).
    """

    norm: str = choice("l2", "linf", "none")
    eps: float = number(least=0)
    steps: int = number(least=1)
    step_size: float = number(above=0)
    random_start: bool = False
    keep: str = choice("best", "last", default="best")
    method: str = choice("pgd", "free", "trades", default="pgd")
    beta: float | None = field(default=None, metadata={"above": 0})
    replays: int | None = field(default=None, metadata={"least": 1})

    def check(self, prefix: str) -> None:
        """Refuse what the method lacks, or does not read."""
        for key, method in (("beta", "trades"), ("replays", "free")):
            value = getattr(self, key)
            if (value is None) == (self.method == method):
                found = "none" if value is None else value
                rule = f"a number, which {method} needs" if value is None else f"none, {self.method} does not read it"
                raise RequestError(f"{prefix}{key}: found {found}, allowed: {rule}")
        if self.method == "trades" and not self.random_start:
            # At the image itself the divergence has its minimum and no gradient.
            raise RequestError(f"{prefix}random_start: found false, allowed: true, as trades has nowhere to go without")
        if self.method != "pgd" and self.norm == "none":
            raise RequestError(f"{prefix}norm: found none, allowed: l2, linf, as {self.method} needs a ball")
        if self.method == "free" and self.steps != 1:
            raise RequestError(f"{prefix}steps: found {self.steps}, allowed: 1, as free makes one a pass")


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
    `start` is a checkpoint to begin from; a head for other classes begins anew. `batch_size` counts what one step of
    the optimiser sees, in all processes together and in `accumulate` parts one after the other. `held_out` training
    images are kept aside, and the epoch that is best on them is kept; with none the last. A checkpoint to go on from
    is written after every epoch, and every `save_every` steps.
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
    accumulate: int = field(default=1, metadata={"least": 1})
    label_smoothing: float = field(default=0.0, metadata={"least": 0, "most": 0.9})
    held_out: int = field(default=0, metadata={"least": 0})
    save_every: int | None = field(default=None, metadata={"least": 1})

    def check(self, prefix: str) -> None:
        """Refuse a batch that does not come out even."""
        if self.batch_size % self.accumulate:
            allowed = f"a divisor of {prefix}batch_size, which is {self.batch_size}"
            raise RequestError(f"{prefix}accumulate: found {self.accumulate}, allowed: {allowed}")


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
