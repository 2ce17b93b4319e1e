"""The one place where [0, 1] becomes 0 to 255."""

from torch import Tensor, uint8


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [0, 1] to uint8 by rounding to the nearest grey level (never by truncation)."""
    return (images * 255).round().clamp(0, 255).to(uint8)
