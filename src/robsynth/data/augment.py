"""Augmentation of a whole batch at a time, from one generator."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def random_shift(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image moved by up to `most` pixels in both directions, zeros coming in: (N, C, H, W) to the same.

    The same as padding by `most` and cropping at a random corner.
    """
    if most == 0:
        return images
    count, channels, height, width = images.shape
    corner = torch.randint(0, 2 * most + 1, (2, count), generator=generator)
    rows = (corner[0][:, None] + torch.arange(height)).view(count, 1, height, 1)
    columns = (corner[1][:, None] + torch.arange(width)).view(count, 1, 1, width)
    samples = torch.arange(count).view(count, 1, 1, 1)
    planes = torch.arange(channels).view(1, channels, 1, 1)
    padded = pad(images, (most,) * 4)
    return padded[samples.to(images.device), planes, rows, columns]
