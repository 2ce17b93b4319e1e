"""Samples of any origin as one array."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from robsynth.errors import RequestError
from robsynth.files import read_npz
from robsynth.samples.store import MANIFEST, SampleStore

SUFFIXES = (".png", ".bmp", ".webp", ".jpg", ".jpeg")


@dataclass(frozen=True)
class SampleSet:
    """Images uint8 (n, H, W, C); what is known about each is None where the source does not say.

    `wanted` (n,) is the class asked for; `start`, `original` and `mask` are laid out like `images`.
    """

    images: np.ndarray
    wanted: np.ndarray | None = None
    start: np.ndarray | None = None
    original: np.ndarray | None = None
    mask: np.ndarray | None = None


def load_samples(path: str | Path, key: str = "samples", most: int | None = None) -> SampleSet:
    """A sample store (or its first images, `most` or some more), a folder of images by name, or an .npz.

    An .npz has `images`, or `arr_0` as in the ADM layout, uint8 (n, H, W, C), and may have labels as
    `wanted` or `arr_1`.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        arrays = SampleStore.open(path).read(most)
        about = (arrays.get(name) for name in ("wanted", "start", "original", "mask"))
        return SampleSet(arrays["images"], *about)
    if path.is_dir():
        return SampleSet(_read_folder(path, key))
    if path.suffix == ".npz" and path.is_file():
        arrays = read_npz(path)
        images = arrays.get("images", arrays.get("arr_0"))
        if images is None or images.dtype != np.uint8 or images.ndim != 4:
            raise RequestError(f"{key}: {path} has no uint8 array (n, H, W, C) called images or arr_0")
        return SampleSet(images, arrays.get("wanted", arrays.get("arr_1")))
    raise RequestError(f"{key}: found {path}, allowed: a sample store, a folder of images, or an .npz file")


def _read_folder(folder: Path, key: str) -> np.ndarray:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise RequestError(f"{key}: no images in {folder}; looked for {', '.join(SUFFIXES)}")
    images = [_read_image(file) for file in files]
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise RequestError(f"{key}: {folder} has images of different sizes ({sorted(sizes)[:3]}); allowed: one size")
    return np.stack(images)


def _read_image(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise RequestError(f"{file}: not a readable image ({error})") from None
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
