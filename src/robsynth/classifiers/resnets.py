"""Residual networks of the literature: features before the last ReLU, and their number.

Modules are called as in torchvision, and those of `wide_resnet` as in its authors' and most later code, so that
published weights fit.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

BLOCKS_18, BLOCKS_50 = (2, 2, 2, 2), (3, 4, 6, 3)
STAGE_WIDTHS = (64, 128, 256, 512)


class _Block(nn.Module, ABC):
    """A residual block (He et al., 2016) that applies the ReLU of the block before it.

    So the last block's sum comes out without one; and the stem's ReLU after its max-pooling is the same as before.
    """

    expansion: int

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * self.expansion
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    @abstractmethod
    def branch(self, x: Tensor) -> Tensor: ...

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.branch(x) + self.downsample(x)


class _Basic(_Block):
    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


class _Bottleneck(_Block):
    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)

    def branch(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return self.bn3(self.conv3(x))


def _stages(block: type[_Block], blocks: Sequence[int]) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {}
    channels = STAGE_WIDTHS[0]
    for stage, (width, count) in enumerate(zip(STAGE_WIDTHS, blocks, strict=True)):
        layers = []
        for place in range(count):
            layers.append(block(channels, width, stride=2 if stage and not place else 1))
            channels = width * block.expansion
        stages[f"layer{stage + 1}"] = nn.Sequential(*layers)
    return stages


def _for_cifar(channels: int, block: type[_Block], blocks: Sequence[int]) -> tuple[nn.Sequential, int]:
    """The form of Santurkar et al. for 32-px images: a 3x3 stem at full size, no pooling."""
    stem: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, STAGE_WIDTHS[0], 3, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(STAGE_WIDTHS[0]),
    }
    return nn.Sequential(OrderedDict(stem | _stages(block, blocks))), STAGE_WIDTHS[-1] * block.expansion


def _for_imagenet(channels: int, block: type[_Block], blocks: Sequence[int]) -> tuple[nn.Sequential, int]:
    """torchvision's form: a 7x7 stride-2 stem, pooled once more."""
    stem: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, STAGE_WIDTHS[0], 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(STAGE_WIDTHS[0]),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    network = nn.Sequential(OrderedDict(stem | _stages(block, blocks)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network, STAGE_WIDTHS[-1] * block.expansion


def resnet18_cifar(channels: int) -> tuple[nn.Sequential, int]:
    return _for_cifar(channels, _Basic, BLOCKS_18)


def resnet50_cifar(channels: int) -> tuple[nn.Sequential, int]:
    return _for_cifar(channels, _Bottleneck, BLOCKS_50)


def resnet18(channels: int) -> tuple[nn.Sequential, int]:
    return _for_imagenet(channels, _Basic, BLOCKS_18)


def resnet50(channels: int) -> tuple[nn.Sequential, int]:
    return _for_imagenet(channels, _Bottleneck, BLOCKS_50)


class _WideBlock(nn.Module):
    """A pre-activation block; where the shape changes, the skip too starts from the activation."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        if channels != width:
            self.convShortcut = nn.Conv2d(channels, width, 1, stride, bias=False)
        self.widens = channels != width

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu()
        skip = self.convShortcut(active) if self.widens else x
        return skip + self.conv2(self.bn2(self.conv1(active)).relu())


class _WideStage(nn.Module):
    def __init__(self, channels: int, width: int, blocks: int, stride: int) -> None:
        super().__init__()
        later: list[Any] = [_WideBlock(width, width, 1) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(_WideBlock(channels, width, stride), *later)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def wide_resnet(channels: int, depth: int, widen: int) -> tuple[nn.Sequential, int]:
    """WRN-`depth`-`widen` (Zagoruyko and Komodakis, 2016) for 32-px images; `depth` is 6 n + 4."""
    widths = [16, 16 * widen, 32 * widen, 64 * widen]
    layers: dict[str, nn.Module] = {"conv1": nn.Conv2d(channels, 16, 3, padding=1, bias=False)}
    for i in (1, 2, 3):
        layers[f"block{i}"] = _WideStage(widths[i - 1], widths[i], (depth - 4) // 6, stride=1 if i == 1 else 2)
    layers["bn1"] = nn.BatchNorm2d(widths[-1])
    return nn.Sequential(OrderedDict(layers)), widths[-1]
