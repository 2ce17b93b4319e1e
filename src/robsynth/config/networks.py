"""Which images, and which network."""

from dataclasses import dataclass

from robsynth.config.fields import Contradictions, choice, number, setting
from robsynth.config.registry import ARCHITECTURES, FOREIGN


@dataclass
class Dataset:
    """Which images, in which size and how normalised."""

    name: str = setting(help="the data set")
    root: str | None = setting(None, help="a directory that holds it; looked for by name unless given (see doctor)")
    hub: str | None = setting(None, help="a data set of the Hugging Face hub to take instead")
    download: bool = setting(True, help="whether to fetch what is not here")
    size: int | None = number(least=8, default=None, help="side in pixels to which images are brought")
    classes: list[str] | None = setting(None, some=True, help="some of its classes by name, in this order")
    mean: list[float] | None = number(
        least=0, most=1, default=None, some=True,
        help="of each channel in [0, 1], for the classifier's normalisation; the training split's unless given",
    )  # fmt: skip
    std: list[float] | None = number(above=0, default=None, some=True, help="the deviations, as mean")
    validation: int | None = number(least=1, default=None, help="so many last training images as the test images")


@dataclass
class Network:
    """A network to train, or with a checkpoint a trained one."""

    arch: str = choice(ARCHITECTURES, beside="needed", help="its architecture")
    widths: list[int] = number(least=1, default=list, help="channels of each stage (compact, residual)")
    depth: int | None = number(least=10, default=None, help="layers, 6 n + 4 (wide_resnet)")
    widen: int | None = number(least=1, default=None, help="factor of the channels (wide_resnet)")
    checkpoint: str | None = setting(None, help="a trained one: a file, or the name of one that ships with robsynth")
    model: str | None = setting(None, help="its name in the library (timm, torchvision, robustbench)")
    threat: str | None = choice(("Linf", "L2", "corruptions"), default=None, help="RobustBench's threat model")

    def contradictions(self) -> Contradictions:
        foreign = self.checkpoint is not None and self.arch in FOREIGN
        yield foreign, "checkpoint", f"but {self.arch} brings its own weights; allowed: none"
        yield self.depth is not None and (self.depth - 4) % 6, "depth", "allowed: 6 n + 4, e.g. 16, 28, 34"
