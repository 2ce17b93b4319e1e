"""Samples as image files in a folder."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from robsynth.errors import RequestError
from robsynth.samples.source import Samples, SampleSet, ranges

SUFFIXES = (".png", ".bmp", ".webp", ".jpg", ".jpeg", ".tif", ".tiff")
LOSSY = ("JPEG", "WEBP")
# What file managers leave behind.
LITTER = ("thumbs.db", "desktop.ini")


class Folder(Samples):
    """All images below a folder, in the order of their paths; decoded when they are read."""

    def __init__(self, folder: Path, key: str) -> None:
        self.name, self._key, self.warnings = folder.name, key, []
        everything = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_litter(path, folder))
        self._files = [path for path in everything if path.suffix.lower() in SUFFIXES]
        if not self._files:
            raise RequestError(f"{key}: no images in {folder}; looked for {', '.join(SUFFIXES)}")
        self._look_at_headers(folder)
        self.has = frozenset({"images"})
        inside = [path.parent.name for path in self._files if path.parent != folder]
        self.folder_labels = inside if len(inside) == len(self._files) else None
        if others := [path for path in everything if path.suffix.lower() not in SUFFIXES]:
            self.warnings.append(f"{len(others)} files that are no images were left out, e.g. {others[0].name}")

    def _look_at_headers(self, folder: Path) -> None:
        sizes: dict[tuple[int, int], Path] = {}
        modes: Counter[str] = Counter()
        lossy = 0
        for path in self._files:
            with _opened(path, self._key) as image:
                sizes.setdefault(image.size, path)
                modes[image.mode] += 1
                lossy += image.format in LOSSY
        if len(sizes) > 1:
            (a, first), (b, second) = list(sizes.items())[:2]
            raise RequestError(
                f"{self._key}: {folder} has images of different sizes, {first.name} {a[0]}x{a[1]} and {second.name} "
                f"{b[0]}x{b[1]}; allowed: one size"
            )
        if deep := [mode for mode in modes if mode.startswith(("I", "F"))]:
            raise RequestError(f"{self._key}: {folder} has images of more than 8 bits (mode {deep[0]}); allowed: 8")
        self._mode = "L" if set(modes) <= {"L", "1"} else "RGB"
        (width, height) = next(iter(sizes))
        self.shape = (height, width, 1 if self._mode == "L" else 3)
        count = len(self._files)
        if converted := count - modes[self._mode]:
            self.warnings.append(f"{converted} of {count} images were converted to {self._mode}, without transparency")
        if lossy:
            self.warnings.append(
                f"{lossy} of {count} images are JPEG or WebP, which is lossy: figures are of these files, not of the "
                "images that were encoded"
            )

    def __len__(self) -> int:
        return len(self._files)

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield SampleSet(np.stack([self._read(self._files[row]) for row in rows]))

    def _read(self, path: Path) -> np.ndarray:
        with _opened(path, self._key) as image:
            try:
                pixels = np.asarray(image.convert(self._mode))
            except (OSError, SyntaxError, ValueError) as error:
                raise RequestError(f"{self._key}: {path} is damaged ({error})") from None
        return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _is_litter(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return hidden or path.name.lower() in LITTER


def _opened(path: Path, key: str) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, UnidentifiedImageError) as error:
        raise RequestError(f"{key}: {path} is not a readable image ({error})") from None
