"""Networks small enough to be trained adversarially on a CPU: features before the last ReLU, and their number."""

from collections.abc import Sequence

from torch import Tensor, nn


def compact(channels: int, widths: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Plain 3x3 convolutions with batch norm, the first at full size and each later one at half of it.

    The last is 4x4 without padding: with four widths and 32-px images each place of its 5x5 map sees about two
    thirds of the image.
    """
    *inner, last = widths
    layers: list[nn.Module] = []
    for depth, width in enumerate(inner):
        layers += [
            nn.Conv2d(channels, width, 3, stride=2 if depth else 1, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, last, 4, bias=False), nn.BatchNorm2d(last)), last


class _Residual(nn.Module):
    """A pre-activation residual block (He et al., 2016), with SiLU."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
        same = stride == 1 and channels == width
        self.skip: nn.Module = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.branch(x)


def residual(channels: int, widths: Sequence[int]) -> tuple[nn.Sequential, int]:
    """A 4x4 stride-2 stem, then two residual blocks a width, each later width at half the size."""
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1, bias=False)]
    before = widths[0]
    for depth, width in enumerate(widths):
        layers += [_Residual(before, width, 2 if depth else 1), _Residual(width, width, 1)]
        before = width
    return nn.Sequential(*layers, nn.BatchNorm2d(before)), before
