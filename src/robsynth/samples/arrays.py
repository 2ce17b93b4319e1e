"""Arrays in .npy and .npz files, read from front to back and never whole."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from robsynth.errors import RequestError
from robsynth.samples.checks import check_beside, check_images
from robsynth.samples.source import Samples, SampleSet, ranges

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What our arrays are called elsewhere.
ALIASES = {"images": ("images", "arr_0"), "wanted": ("wanted", "arr_1")}
# What is inflated at once.
PIECE = 1 << 20
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class ArrayFile:
    """An .npy file, or the array of this name in an .npz; its header is read at once, its rows by `chunks`.

    Raises
    ------
    RequestError
        If the file is damaged or shorter than its header says, or if the array is pickled or in Fortran order.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path, self.name = path, name
        self.where = str(path) if name is None else f"{path}: {name}"
        with self._opened() as (file, size):
            self.shape, fortran, self.dtype = _read_header(file)
            if self.dtype.hasobject:
                raise RequestError(
                    f"{self.where}: holds pickled objects, which are never opened; allowed: plain arrays"
                )
            if fortran and len(self.shape) > 1:
                raise RequestError(f"{self.where}: is in Fortran order; allowed: C order, as by np.ascontiguousarray")
            if size != file.tell() + math.prod(self.shape) * self.dtype.itemsize:
                raise EOFError(f"{size} bytes do not hold {self.dtype} {self.shape}")

    def __len__(self) -> int:
        return self.shape[0]

    def chunks(self, size: int, most: int | None = None) -> Iterator[np.ndarray]:
        """All rows, or the first `most`, `size` at a time."""
        with self._opened() as (file, _):
            _read_header(file)
            for rows in ranges(len(self), size, most):
                array = np.empty((len(rows), *self.shape[1:]), self.dtype)
                _fill(array, file)
                if rows.stop == len(self):
                    # A zip file's checksum is compared where its member ends.
                    file.read(1)
                yield array

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], int]]:
        """The array's bytes, header first, and how many they are."""
        with damage_named(self.path):
            if self.name is None:
                with self.path.open("rb") as file:
                    yield file, self.path.stat().st_size
                return
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as member:
                yield member, archive.getinfo(f"{self.name}.npy").file_size


def names_in(path: Path) -> list[str]:
    """The names of an .npz file's arrays."""
    with damage_named(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Errors of a damaged file as a RequestError that names it."""
    try:
        yield
    except DAMAGE as error:
        raise RequestError(f"{path}: not a readable {path.suffix} file ({error})") from None


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format")
    return HEADERS[version](file)


def _fill(array: np.ndarray, file: IO[bytes]) -> None:
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    while view:
        read = file.readinto(view[:PIECE])  # type: ignore[attr-defined]
        if not read:
            raise EOFError("it ends too early")
        view = view[read:]


class ArraySamples(Samples):
    """Samples in files of arrays, one file after the other; a file's arrays are named as in `SampleSet`.

    Raises
    ------
    RequestError
        If the images are not uint8 (n, H, W, C), the files differ in shape, or what stands beside does not fit.
    """

    def __init__(self, name: str, files: list[dict[str, ArrayFile]]) -> None:
        for arrays in files:
            _check(arrays, files[0])
        height, width, channels = files[0]["images"].shape[1:]
        self.name, self.shape, self.warnings = name, (height, width, channels), []
        self.has = frozenset(files[0])
        self._files = files
        self._wanted = _labels(files) if "wanted" in self.has else None

    def __len__(self) -> int:
        return sum(len(arrays["images"]) for arrays in self._files)

    @property
    def wanted(self) -> np.ndarray | None:
        return self._wanted

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        pieces = self._pieces(size)
        held: list[SampleSet] = []
        for rows in ranges(len(self), size, most):
            while sum(map(len, held)) < len(rows):
                held.append(next(pieces))
            whole = SampleSet.joined(held)
            yield whole.take(slice(len(rows)))
            held = [whole.take(slice(len(rows), None))]

    def _pieces(self, size: int) -> Iterator[SampleSet]:
        """The rows of each file by themselves, at most `size` at a time."""
        for arrays in self._files:
            for parts in zip(*(array.chunks(size) for array in arrays.values()), strict=True):
                yield SampleSet(**dict(zip(arrays, parts, strict=True)))


def _check(arrays: dict[str, ArrayFile], first: dict[str, ArrayFile]) -> None:
    images = arrays["images"]
    row_bytes = math.prod(images.shape[1:]) * images.dtype.itemsize
    check_images(images.where, images.shape, images.dtype, lambda: images.chunks(max(1, PIECE // max(1, row_bytes))))
    if set(arrays) != set(first) or images.shape[1:] != first["images"].shape[1:]:
        raise RequestError(
            f"{images.path}: holds {', '.join(arrays)} of {images.shape[1:]}, "
            f"allowed: {', '.join(first)} of {first['images'].shape[1:]}, as in {first['images'].path.name}"
        )
    for name, array in arrays.items():
        check_beside(array.where, name, array.shape, array.dtype, images.shape)


def _labels(files: list[dict[str, ArrayFile]]) -> np.ndarray:
    arrays = [arrays["wanted"] for arrays in files]
    return np.concatenate([part for array in arrays for part in array.chunks(len(array))]).astype(np.int64)


def open_npy(path: Path) -> ArraySamples:
    """Images uint8 (n, H, W, C) in an .npy file."""
    return ArraySamples(path.name, [{"images": ArrayFile(path)}])


def open_npz(path: Path) -> ArraySamples:
    """An .npz with `arr_0` and perhaps labels in `arr_1`, as ADM has it, or with `images` and `wanted`."""
    there = names_in(path)
    found = {
        name: ArrayFile(path, next(alias for alias in aliases if alias in there))
        for name, aliases in ALIASES.items()
        if any(alias in there for alias in aliases)
    }
    if "images" not in found:
        raise RequestError(f"{path}: has no array called images or arr_0; found {', '.join(there) or 'none'}")
    return ArraySamples(path.name, [found])
