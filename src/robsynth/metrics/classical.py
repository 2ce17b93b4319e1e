"""What anyone would try first: images of the tasks' inputs without a classifier, to set beside its own."""

import numpy as np

from robsynth.progress import track


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
