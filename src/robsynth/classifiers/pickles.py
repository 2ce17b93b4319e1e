"""The tensors in a file of `torch.save`, of which nothing is executed.

torch's own safe loader refuses a file as soon as it holds anything else than tensors and containers, and files of
other people do: schedules, losses as NumPy scalars, arguments as objects. The reader here takes their place by
inert objects. It builds tensors, containers and nothing else, whatever the file says.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # The first pickle of a file of torch before 1.6.
STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


class Unreadable(Exception):
    """The file is not what `torch.save` writes, or is cut short."""


class Inert:
    """What stands for any object that is neither tensor nor container: it takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        return Inert()

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass


class _Tensor:
    """Elements of a storage as a tensor; no function, because a pickle may set a function's attributes."""

    __slots__ = ()

    def __call__(self, storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
        return storage.as_strided(size, stride, offset)  # Refuses what reaches out of the storage.


class _Parameter:
    __slots__ = ()

    def __call__(self, data: Tensor, *_: Any) -> Tensor:
        return data


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Tensor(),
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor(),
    ("torch._utils", "_rebuild_parameter"): _Parameter(),
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


class _TensorsOnly(pickle.Unpickler):
    """Calls nothing but what is in `ALLOWED`; `storage` gives the elements that a tensor's reference names."""

    def __init__(self, file: IO[bytes], storage: Callable[[tuple[Any, ...]], Tensor]) -> None:
        super().__init__(file, encoding="latin1")
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        return ALLOWED.get((module, name), Inert)

    def persistent_load(self, reference: Any) -> Any:
        # Files of torch before 1.6 refer to the classes of modules in this way too.
        return self.storage(reference) if reference[0] == "storage" else Inert


def read_tensors_only(path: Path) -> Any:
    """The content of a file of `torch.save`: tensors and containers, and `Inert` for all the rest.

    Raises
    ------
    Unreadable
        If there is no such content.
    """
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            return _read_zip(path, size)
        with path.open("rb") as file:
            return _read_legacy(file, size)
    except Unreadable:
        raise
    except Exception as error:  # A pickle can fail in every way that an unexpected call can.
        raise Unreadable(f"{type(error).__name__}: {error}") from None


def _read_zip(path: Path, size: int) -> Any:
    with zipfile.ZipFile(path) as archive:
        (index,) = (name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"])
        root = index.removesuffix("data.pkl")
        storages: dict[str, Tensor] = {}

        def storage(reference: tuple[Any, ...]) -> Tensor:
            _, dtype, name, _, count = reference
            if name not in storages:
                with archive.open(f"{root}data/{name}") as file:
                    storages[name] = _elements(file, dtype, count, size)
            return storages[name]

        return _TensorsOnly(io.BytesIO(archive.read(index)), storage).load()


def _read_legacy(file: IO[bytes], size: int) -> Any:
    """Four pickles: magic, protocol, system and the content, then the storages' names and their elements."""
    storages: dict[str, Tensor] = {}

    def storage(reference: tuple[Any, ...]) -> Tensor:
        _, dtype, name, _, count, view = reference
        if name not in storages:
            if count * dtype.itemsize + sum(known.nbytes for known in storages.values()) > size:
                raise Unreadable("the storages are larger than the file")
            storages[name] = torch.empty(count, dtype=dtype)
        return storages[name] if view is None else storages[name][view[1] : view[1] + view[2]]

    def load() -> Any:
        return _TensorsOnly(file, storage).load()

    if load() != LEGACY_MAGIC:
        raise Unreadable("no file of torch.save")
    load(), load()
    content, names = load(), load()
    for name in names:
        count = int.from_bytes(file.read(8), "little")
        storages[name].copy_(_elements(file, storages[name].dtype, count, size))
    return content


def _elements(file: IO[bytes], dtype: torch.dtype, count: int, most: int) -> Tensor:
    """The next `count` numbers of a file that is `most` bytes long."""
    wanted = count * dtype.itemsize
    content = bytearray(file.read(wanted) if 0 <= wanted <= most else b"")
    if len(content) != wanted:
        raise Unreadable("a storage is cut short")
    return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def load_safely(path: Path) -> Any:
    """The content of a file of `torch.save`: by torch's safe loader, and what that refuses by `read_tensors_only`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        return read_tensors_only(path)


def load_trusting(path: Path) -> Any:
    """The content of a file of `torch.save`, by executing what code is in it, with `dill` where it is installed.

    Raises
    ------
    Unreadable
        If that fails.
    """
    try:
        import dill as pickler
    except ModuleNotFoundError:
        pickler = pickle
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=pickler)
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None
