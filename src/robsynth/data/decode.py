"""From an opened photograph to a square of pixels."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Of a test image's shorter side the crop keeps this share: 224 of 256 (library of Engstrom et al., 2019).
MARGIN = 224 / 256


def to_tensor(image: Image.Image) -> Tensor:
    """A decoded RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def centre(image: Image.Image, size: int) -> Tensor:
    """Shorter side scaled to `size` (with the usual margin from 224 px on), then the square in the middle."""
    if image.size == (size, size):
        return to_tensor(image)
    side = round(size / MARGIN) if size >= 224 else size
    width, height = image.size
    scale = side / min(width, height)
    resized = image.resize(
        (max(side, round(width * scale)), max(side, round(height * scale))), Image.Resampling.BILINEAR
    )
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return to_tensor(resized.crop((left, top, left + size, top + size)))


def random_crop(image: Image.Image, size: int, generator: torch.Generator) -> Tensor:
    """A random part, 8 to 100 % of the area and 3/4 to 4/3 in aspect, scaled to `size` (Szegedy et al., 2015)."""
    width, height = image.size
    for _ in range(10):
        u = torch.rand(4, generator=generator).tolist()
        area = (0.08 + 0.92 * u[0]) * width * height
        aspect = math.exp((2 * u[1] - 1) * math.log(4 / 3))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(u[2] * (width - w + 1)), int(u[3] * (height - h + 1))
            part = image.crop((left, top, left + w, top + h))
            return to_tensor(part.resize((size, size), Image.Resampling.BILINEAR))
    return centre(image, size)
