"""Augmentation of a whole batch at a time, from one generator."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from robsynth.config import Augmentation

# The principal axes of ImageNet's colours and the deviations along them, in units of [0, 1] (Krizhevsky et al., 2012).
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)
COLOUR_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
# Luma of ITU-R 601, as torchvision and Pillow have it.
LUMA = (0.299, 0.587, 0.114)


def augment(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Each image of (N, C, H, W), float in [0, 1], changed at random as the settings say."""
    images = random_shift(images, settings.shift, generator)
    if settings.flip:
        images = random_flip(images, generator)
    if settings.jitter:
        images = colour_jitter(images, settings.jitter, generator)
    if settings.rotation:
        images = random_rotation(images, settings.rotation, generator)
    if settings.lighting:
        images = random_lighting(images, settings.lighting, generator)
    return images


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


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(_per_image(mirrored, images), images.flip(3), images)


def colour_jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation, each by a factor uniform in 1 +- `strength`, in this order."""
    brightness, contrast, saturation = (
        _per_image(1 + strength * (2 * torch.rand(len(images), generator=generator) - 1), images) for _ in range(3)
    )
    images = (images * brightness).clamp(0, 1)
    images = _blend(images, _grey(images).mean((2, 3), keepdim=True), contrast)
    return _blend(images, _grey(images), saturation)


def random_rotation(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Each image turned by an angle uniform in +- `degrees`, to the nearest pixel, zeros coming in."""
    angle = math.radians(degrees) * (2 * torch.rand(len(images), generator=generator) - 1)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(len(images))
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="nearest", align_corners=False)


def random_lighting(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """A shift of each image's colours along the principal axes of ImageNet's (Krizhevsky et al., 2012)."""
    amount = deviation * torch.randn(len(images), 3, generator=generator) * torch.tensor(COLOUR_DEVIATIONS)
    shift = amount @ torch.tensor(COLOUR_AXES).T
    return (images + shift[:, :, None, None].to(images)).clamp(0, 1)


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1).to(images.device)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    return (images * torch.tensor(LUMA).to(images).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blend(images: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return (share * images + (1 - share) * other).clamp(0, 1)
