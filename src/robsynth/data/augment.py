"""Augmentation of a whole batch at a time, from one generator."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from robsynth.config import Augmentation
from robsynth.randomness import OfBatch, rows, whole

# The principal axes of ImageNet's colours and the deviations along them, in units of [0, 1] (Krizhevsky et al., 2012).
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)
COLOUR_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
# Luma of ITU-R 601, as torchvision and Pillow have it.
LUMA = (0.299, 0.587, 0.114)


def augment(images: Tensor, settings: Augmentation, generator: OfBatch) -> Tensor:
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


def random_shift(images: Tensor, most: int, generator: OfBatch) -> Tensor:
    """Each image moved by up to `most` pixels in both directions, zeros coming in: (N, C, H, W) to the same.

    The same as padding by `most` and cropping at a random corner.
    """
    if most == 0:
        return images
    count, _, height, width = images.shape
    corners = rows(lambda n, g: torch.randint(0, 2 * most + 1, (2, n), generator=g).T, count, generator)
    top, left = corners.T.to(images.device)
    crops = pad(images, (most,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return crops[torch.arange(count, device=images.device), :, top, left]


def random_flip(images: Tensor, generator: OfBatch) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = (_uniform(len(images), generator) < 0.5).to(images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def colour_jitter(images: Tensor, strength: float, generator: OfBatch) -> Tensor:
    """Brightness, contrast and saturation, each by a factor uniform in 1 +- `strength` for each image.

    The order of the three is drawn for the batch.
    """
    uniform = rows(lambda n, g: torch.rand(3, n, generator=g).T, len(images), generator).T
    factors = 1 + strength * (2 * uniform - 1)
    for i in torch.randperm(3, generator=whole(generator)).tolist():
        images = COLOUR_CHANGES[i](images, factors[i])
    return images


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Between black (0) and each image (1), and beyond: (N, C, H, W) and (N,)."""
    return _blend(images, torch.zeros(()).to(images), factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Between the mean grey of each image (0) and the image (1), and beyond: (N, C, H, W) and (N,)."""
    return _blend(images, _grey(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Between each image in grey (0) and in its colours (1), and beyond: (N, C, H, W) and (N,)."""
    return _blend(images, _grey(images), factors)


COLOUR_CHANGES = (adjust_brightness, adjust_contrast, adjust_saturation)


def random_rotation(images: Tensor, degrees: float, generator: OfBatch) -> Tensor:
    """Each image turned by an angle uniform in +- `degrees`."""
    return rotate(images, degrees * (2 * _uniform(len(images), generator) - 1))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Square images (N, C, S, S) turned counter-clockwise by (N,), to the nearest pixel, zeros coming in."""
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(len(images))
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="nearest", align_corners=False)


def random_lighting(images: Tensor, deviation: float, generator: OfBatch) -> Tensor:
    """A shift of each image's colours along the principal axes of ImageNet's (Krizhevsky et al., 2012)."""
    normal = rows(lambda n, g: torch.randn(n, 3, generator=g), len(images), generator)
    amount = deviation * normal * torch.tensor(COLOUR_DEVIATIONS)
    shift = amount @ torch.tensor(COLOUR_AXES).T
    return (images + shift[:, :, None, None].to(images)).clamp(0, 1)


def _uniform(count: int, generator: OfBatch) -> Tensor:
    return rows(lambda n, g: torch.rand(n, generator=g), count, generator)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    return (images * torch.tensor(LUMA).to(images).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    share = factors.view(-1, 1, 1, 1).to(images)
    return (share * images + (1 - share) * other).clamp(0, 1)
