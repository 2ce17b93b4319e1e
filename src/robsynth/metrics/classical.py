"""What a task's result is set beside: what it was given, and what anyone would try first without a classifier."""

from collections.abc import Callable, Iterator

import numpy as np

from robsynth.config import Inpainting, SuperResolution, TaskSettings
from robsynth.progress import track
from robsynth.samples import SampleSet

Method = Callable[[SampleSet], np.ndarray]
"""Samples' images made anew from what belongs to them, uint8 (n, H, W, C)."""


def beside(settings: TaskSettings) -> Iterator[tuple[str, Method]]:
    """Names and methods for a task's samples."""
    if isinstance(settings, Inpainting):
        # The hole of what inpainting is given was filled with a mean.
        yield "mean fill", start
        yield "biharmonic", lambda rows: biharmonic(start(rows), _known(rows.mask))
        return
    yield "untouched input", start
    if isinstance(settings, SuperResolution):
        yield "bicubic", lambda rows: bicubic(start(rows), settings.factor)


def start(rows: SampleSet) -> np.ndarray:
    """Where the images started."""
    return _known(rows.start)


def _known(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    return array


def bicubic(start: np.ndarray, factor: int) -> np.ndarray:
    """Block-upsampled images uint8 (n, H, W, C), enlarged by Pillow's bicubic instead: one pixel for each block."""
    from PIL import Image

    height, width = start.shape[1:3]

    def enlarged(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))

    few_pixels = start[:, ::factor, ::factor]
    return np.stack([np.stack([enlarged(channel) for channel in image.transpose(2, 0, 1)], -1) for image in few_pixels])


def biharmonic(start: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Images uint8 (n, H, W, C) with each hole filled by the smoothest surface (skimage's `inpaint_biharmonic`).

    `mask` (n, H, W, C or 1) is not 0 in the hole. An image that is all hole stays as it is.
    """
    from skimage.restoration import inpaint_biharmonic

    filled = start.copy()
    holes = (mask != 0).any(-1)
    for image, hole in track(list(zip(filled, holes, strict=True)), "biharmonic"):
        if not hole.all():
            smooth = inpaint_biharmonic(image, hole, channel_axis=-1)
            image[hole] = (smooth[hole] * 255).round().clip(0, 255).astype(np.uint8)
    return filled
