"""Distances between an image and its original, per image, then averaged."""

import numpy as np
import torch
from torch import Tensor


def _unit(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255


def psnr(images: np.ndarray, originals: np.ndarray) -> float:
    """Mean over images of the peak signal-to-noise ratio in dB, from uint8 (n, H, W, C); inf if two are equal."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    each = peak_signal_noise_ratio(_unit(images), _unit(originals), data_range=1.0, dim=(1, 2, 3), reduction="none")
    return float(each.mean())


def ssim(images: np.ndarray, originals: np.ndarray) -> float:
    """Mean over images of the structural similarity in [-1, 1].

    11x11 Gaussian window of sigma 1.5 at every pixel, the image mirrored at its edges.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    each = [
        # A few at a time: on a CPU each takes 121 times its size while it is filtered.
        structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
        for a, b in zip(_unit(images).split(50), _unit(originals).split(50), strict=True)
    ]
    return float(torch.cat([part.reshape(-1) for part in each if isinstance(part, Tensor)]).mean())
