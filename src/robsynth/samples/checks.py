"""What arrays of samples must look like, and what to do about those that do not."""

from collections.abc import Callable, Iterable

import numpy as np

from robsynth.errors import RequestError

Shape = tuple[int, ...]
LAYOUT = "uint8 (n, height, width, 1 or 3)"


def check_images(where: str, shape: Shape, dtype: np.dtype, values: Callable[[], Iterable[np.ndarray]]) -> None:
    """A RequestError unless these are uint8 images (n, H, W, C); `values` gives them in parts, to say their range."""
    if len(shape) != 4 or dtype.kind not in "fiub":
        raise RequestError(f"{where}: found {dtype} {shape}, allowed: {LAYOUT}")
    if dtype != np.uint8:
        raise RequestError(f"{where}: found {dtype} {_range(values())}; allowed: {_way_to_uint8(dtype)}")
    if shape[3] not in (1, 3) and shape[1] in (1, 3):
        raise RequestError(f"{where}: {shape} has its channels first; allowed: {LAYOUT}, as by transpose(0, 2, 3, 1)")
    if shape[3] not in (1, 3):
        raise RequestError(f"{where}: found {shape[3]} channels, allowed: {LAYOUT}")
    if min(shape) < 1:
        raise RequestError(f"{where}: no images, their shape is {shape}; allowed: {LAYOUT}")


def check_beside(where: str, name: str, shape: Shape, dtype: np.dtype, images: Shape) -> None:
    """A RequestError unless an array called `name` fits images of this shape."""
    if name == "wanted":
        if dtype.kind not in "iu" or len(shape) != 1:
            raise RequestError(f"{where}: found {dtype} {shape}, allowed: whole numbers (n,), the images' classes")
        if shape[0] != images[0]:
            raise RequestError(f"{where}: found {shape[0]} labels of {images[0]} images, allowed: one each")
        return
    allowed = [images, (*images[:3], 1)] if name == "mask" else [images]
    if dtype != np.uint8 or shape not in allowed:
        raise RequestError(f"{where}: found {dtype} {shape}, allowed: uint8 {images}, as the images")


def _way_to_uint8(dtype: np.dtype) -> str:
    if dtype.kind == "f":
        return "uint8, by rounding 255 * x (images are quantised once, by whoever made them)"
    return "uint8 only, even where every value is in 0..255"


def _range(parts: Iterable[np.ndarray]) -> str:
    """The range of all finite values, and how many others there are."""
    low, high, odd = np.inf, -np.inf, 0
    for part in parts:
        finite = part[np.isfinite(part)]
        odd += part.size - finite.size
        if finite.size:
            low, high = min(low, finite.min()), max(high, finite.max())
    said = f"from {low:g} to {high:g}" if low <= high else "without a finite value"
    return f"{said}, {odd} NaN or infinite" if odd else said
