"""The one place where [0, 1] becomes 0 to 255."""

import numpy as np
from torch import Tensor, uint8


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [0, 1] to uint8 by rounding to the nearest grey level (never by truncation)."""
    return (images * 255).round().clamp(0, 255).to(uint8)


def as_pixels(images: Tensor) -> np.ndarray:
    """Float (n, C, H, W) in [0, 1], wherever it lies, to uint8 (n, H, W, C)."""
    return to_uint8(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()
