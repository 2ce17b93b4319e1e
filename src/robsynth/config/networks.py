"""Which images, and which network."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice
from robsynth.errors import RequestError


@dataclass
class Dataset:
    """Which images. `root` and `hub` name the source, which is found by the data set's name without them.

    `classes` picks some by name, in that order; `size` is the side in pixels to which images are brought
    (their own unless given); `mean` and `std` are the classifier's normalisation (the training split's own
    unless given).
    """

    name: str = "???"
    root: str | None = None
    hub: str | None = None
    download: bool = True
    size: int | None = field(default=None, metadata={"least": 8})
    classes: list[str] | None = None
    mean: list[float] | None = field(default=None, metadata={"least": 0, "most": 1})
    std: list[float] | None = field(default=None, metadata={"above": 0})
    validation: int | None = field(default=None, metadata={"least": 1})


# Each network, and the settings that it is built from; the last three bring their own weights.
ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "compact": ("widths",),
    "residual": ("widths",),
    "resnet18_cifar": (),
    "resnet50_cifar": (),
    "resnet18": (),
    "resnet50": (),
    "wide_resnet": ("depth", "widen"),
    "timm": ("model",),
    "torchvision": ("model",),
    "robustbench": ("model", "threat"),
}


FOREIGN = ("timm", "torchvision", "robustbench")


@dataclass
class Network:
    """A network to train, or with a `checkpoint` a trained one: a file, or the name of a bundle in this package.

    `model` is a name in the library that `arch` names, `threat` the threat model that RobustBench lists it under.
    """

    arch: str = choice(*ARCHITECTURES)
    widths: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    depth: int | None = field(default=None, metadata={"least": 10})
    widen: int | None = field(default=None, metadata={"least": 1})
    checkpoint: str | None = None
    model: str | None = None
    threat: str | None = field(default=None, metadata={"allowed": ("Linf", "L2", "corruptions")})

    def check(self, prefix: str) -> None:
        """Refuse settings that `arch` lacks or does not read."""
        for key in ("widths", "depth", "widen", "model", "threat"):
            value, needed = getattr(self, key), key in ARCHITECTURES[self.arch]
            found = "an empty list" if value == [] else "none" if value is None else value
            if needed and value in (None, []):
                raise RequestError(f"{prefix}{key}: found {found}, but {self.arch} needs it")
            if not needed and value not in (None, []):
                raise RequestError(f"{prefix}{key}: found {found}, but {self.arch} does not read it; allowed: none")
        if self.checkpoint is not None and self.arch in FOREIGN:
            raise RequestError(f"{prefix}checkpoint: {self.arch} brings its own weights; allowed: none")
        if self.depth is not None and (self.depth - 4) % 6:
            raise RequestError(f"{prefix}depth: found {self.depth}, allowed: 6 n + 4, e.g. 16, 28, 34")
