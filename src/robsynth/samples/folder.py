"""A folder of image files, decoded a chunk at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from robsynth.errors import RequestError
from robsynth.files import IMAGE_SUFFIXES
from robsynth.samples.source import Samples, SampleSet, ranges

FORMATS = ("PNG", "BMP", "WEBP", "JPEG", "PPM", "TIFF")
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")
GREY = ("L", "1")
DAMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before it is decoded; `lossy` names a format that does not keep pixels."""

    file: Path
    size: tuple[int, int]
    mode: str
    lossy: str | None


class Folder(Samples):
    """The images in a folder and in all folders in it, sorted by name; grey if all of them are, otherwise RGB.

    Raises
    ------
    RequestError
        If there are none, or one is damaged, has 16 bits a channel, or another size than the first.
    """

    def __init__(self, folder: Path, key: str) -> None:
        files, others = _list(folder)
        if not files:
            raise RequestError(f"{key}: no images in {folder}; looked for {', '.join(IMAGE_SUFFIXES)}")
        headers = [_read_header(file) for file in files]
        for header in headers:
            if header.size != headers[0].size:
                sizes = " and ".join(f"{h.file} is {h.size[0]}x{h.size[1]}" for h in (headers[0], header))
                raise RequestError(f"{key}: {sizes} (width x height), allowed: images of one size")
        self._files, self._mode = files, "L" if all(header.mode in GREY for header in headers) else "RGB"
        (width, height), channels = headers[0].size, 1 if self._mode == "L" else 3
        self.name, self.shape, self.has = folder.name, (height, width, channels), frozenset({"images"})
        self.warnings = list(_warnings(headers, others, self._mode))
        if all(file.parent != folder for file in files):
            self.folder_labels = [file.parent.name for file in files]

    def __len__(self) -> int:
        return len(self._files)

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        for rows in ranges(len(self), size, most):
            yield SampleSet(np.stack([self._decode(file) for file in self._files[rows.start : rows.stop]]))

    def _decode(self, file: Path) -> np.ndarray:
        try:
            with Image.open(file, formats=FORMATS) as image:
                return np.asarray(image.convert(self._mode)).reshape(self.shape)
        except DAMAGE as error:
            raise RequestError(f"{file}: not a readable image ({error})") from None


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """Images and other files, sorted, without those that are hidden."""
    found = sorted(
        file
        for file in folder.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.name.lower() not in LEFT_BY_SYSTEMS
        and file.is_file()
    )
    images = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES]
    return images, [file for file in found if file.suffix.lower() not in IMAGE_SUFFIXES]


def _read_header(file: Path) -> Header:
    try:
        with Image.open(file, formats=FORMATS) as image:
            if _is_deep(image):
                raise RequestError(f"{file}: has more than 8 bits a channel, allowed: 8 (rounded by whoever made it)")
            return Header(file, image.size, image.mode, _lossy(file, image.format))
    except DAMAGE as error:
        raise RequestError(f"{file}: not a readable image ({error})") from None


def _is_deep(image: Image.Image) -> bool:
    if image.format == "BMP":
        return False
    # Of colours in 16 bits Pillow keeps the upper 8, without a word; only the layout of the raw pixels tells.
    layouts = [tile[-1] for tile in getattr(image, "tile", ())]
    if image.format == "PPM" and isinstance(layouts[0], tuple):
        return int(layouts[0][1]) > 255
    return image.mode[0] in "IF" or any(";16" in str(layout) for layout in layouts)


def _lossy(file: Path, form: str | None) -> str | None:
    if form in ("JPEG", "MPO"):
        return "JPEG"
    return "WebP" if form == "WEBP" and b"VP8 " in _webp_chunks(file) else None


def _webp_chunks(file: Path) -> set[bytes]:
    """The names of a WebP file's chunks: pixels are in one called `VP8 ` if lossy, `VP8L` if lossless."""
    names = set()
    with file.open("rb") as stream:
        stream.seek(12)
        while len(head := stream.read(8)) == 8:
            names.add(head[:4])
            length = int.from_bytes(head[4:], "little")
            stream.seek(length + length % 2, os.SEEK_CUR)
    return names


def _warnings(headers: list[Header], others: list[Path], mode: str) -> Iterator[str]:
    for name in ("JPEG", "WebP"):
        if found := [header for header in headers if header.lossy == name]:
            which = _how_many(found, headers)
            yield f"{name} is lossy: figures differ from those of the images that were encoded ({which})"
    if found := [header for header in headers if header.mode != mode]:
        modes = ", ".join(sorted({header.mode for header in found}))
        yield f"{modes} images are converted to {mode} ({_how_many(found, headers)})"
    if others:
        yield f"files that are no images are ignored ({len(others)}, e.g. {others[0].name})"


def _how_many(found: list[Header], headers: list[Header]) -> str:
    return f"{len(found)} of {len(headers)}, e.g. {found[0].file.name}"
