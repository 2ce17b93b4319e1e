"""The images that tasks start from: a data set's test images, or a user's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from robsynth.data import ImageSet, MemoryImages
from robsynth.data.decode import centre
from robsynth.data.sources.tree import image_files
from robsynth.errors import RequestError

UNKNOWN = -1


@dataclass(frozen=True)
class Originals:
    """Images with labels in the classifier's numbering, `UNKNOWN` where nobody said; masks if there are any.

    `masks` is float (N, 1, H, W), 1 where an image may change. `given` says that they are a user's own.
    """

    images: ImageSet
    labels: Tensor
    masks: Tensor | None = None
    given: bool = False

    def __len__(self) -> int:
        return len(self.labels)


def from_data_set(images: ImageSet, label_names: Sequence[str]) -> Originals:
    """A data set's images of those classes that the classifier knows by the same name."""
    if images.label_names == tuple(label_names):
        return Originals(images, images.labels)
    number = {old: label_names.index(name) for old, name in enumerate(images.label_names) if name in label_names}
    if not number:
        raise RequestError(
            f"originals: {images.name} has none of the classifier's classes; allowed: some of {', '.join(label_names)}"
        )
    rows = torch.tensor([i for i, label in enumerate(images.labels.tolist()) if label in number])
    labels = torch.tensor([number[int(label)] for label in images.labels[rows]])
    return Originals(images.subset(rows, f"{images.name} of known classes"), labels)


def from_folder(
    folder: str, masks: str | None, shape: tuple[int, int, int], label_names: Sequence[str], few: int | None = None
) -> Originals:
    """A user's image files, in the order of their names, as squares of the classifier's size.

    An image in a folder called like a class is of that class. With `few`, files that are smaller than the
    classifier's images are brought to `few` pixels instead, and stay small.
    """
    root = Path(folder)
    files = user_files(folder)
    channels, size, _ = shape
    opened = [_open(file, "inputs") for file in files]
    if few is not None and all(min(image.size) < size for image in opened):
        size = few
    pixels = torch.stack([_channels(centre(image, size), channels) for image in opened])
    labels = torch.tensor([_label(file, root, label_names) for file in files])
    images = MemoryImages(f"inputs ({len(files)} files)", pixels, labels, label_names)
    found = read_masks(masks, files, shape[1]) if masks is not None else None
    return Originals(images, labels, found, given=True)


def user_files(folder: str) -> list[Path]:
    """The image files below a folder that a user named, in the order of their names."""
    files = [Path(file) for file in image_files(Path(folder))] if Path(folder).is_dir() else []
    if not files:
        raise RequestError(f"inputs: no images in {folder}")
    return files


def read_masks(masks: str, files: Sequence[Path], size: int, key: str = "masks") -> Tensor:
    """Float (n, 1, H, W), 1 where a mask is white: one file for all, or a folder with a file for each by its name."""
    path = Path(masks)
    if path.is_file():
        return _mask(path, size, key).expand(len(files), 1, size, size)
    if not path.is_dir():
        raise RequestError(f"{key}: no file or folder {masks}")
    by_stem = {Path(file).stem: Path(file) for file in image_files(path)}
    if missing := [file for file in files if file.stem not in by_stem]:
        raise RequestError(f"{key}: no mask called {missing[0].stem}.* in {masks}")
    return torch.cat([_mask(by_stem[file.stem], size, key) for file in files])


def _mask(file: Path, size: int, key: str) -> Tensor:
    grey = np.asarray(_open(file, key).convert("L").resize((size, size), Image.Resampling.NEAREST))
    return torch.from_numpy(grey >= 128).float()[None, None]


def _open(file: Path, key: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise RequestError(f"{key}: {file} is not a readable image ({error})") from None


def _channels(pixels: Tensor, channels: int) -> Tensor:
    return pixels if channels == 3 else pixels.float().mean(0, keepdim=True).round().to(torch.uint8)


def _label(file: Path, root: Path, label_names: Sequence[str]) -> int:
    parents = [part for part in file.relative_to(root).parts[:-1] if part in label_names]
    return label_names.index(parents[-1]) if parents else UNKNOWN
