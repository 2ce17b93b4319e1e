"""The Hugging Face hub's layout: parquet files with an image column and a label column."""

import glob
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.errors import RequestError
from robsynth.files import cache_directory

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels")


def files_of_split(files: Sequence[str], split_names: Sequence[str]) -> list[str]:
    """Those of a repository's parquet files that hold the split: the first of `split_names` with any.

    A file belongs to the split that its own name begins with (`plain_text/train-00000-of-00002.parquet`), or
    else to the one its folder is called after (`plain_text/train/0000.parquet`).

    Raises
    ------
    RequestError
        If they lie in several folders, as configurations of a repository do.
    """
    parquet_files = sorted(file for file in files if file.endswith(".parquet"))
    for name in split_names:
        if found := [file for file in parquet_files if _split_of(PurePosixPath(file)) == name]:
            folders = sorted({str(PurePosixPath(file).parent) for file in found})
            if len(folders) > 1:
                raise RequestError(f"found {name}*.parquet in {' and '.join(folders)}, allowed: one folder")
            return found
    return []


def _split_of(path: PurePosixPath) -> str | None:
    start = re.match("[a-z]*", path.name)
    for word in (start.group() if start else "", path.parent.name):
        if word in ("train", "test", "val", "valid", "validation"):
            return word
    return None


def local_files(directory: Path) -> list[str]:
    return [path.relative_to(directory).as_posix() for path in directory.rglob("*.parquet")]


def is_parquet(directory: Path) -> bool:
    return bool(files_of_split(local_files(directory), ["train"]))


def parquet(directory: Path, split_names: Sequence[str], label_names: Sequence[str] | None) -> Listing:
    """A split from the parquet files below a directory; `label_names` where the label column has no names.

    The first time the `datasets` library copies them into the cache as Arrow, which is memory-mapped: images
    that are not looked at take no memory.
    """
    try:
        files = [directory / file for file in files_of_split(local_files(directory), split_names)]
    except RequestError as error:
        raise RequestError(f"{directory}: {error}") from None
    if not files:
        raise RequestError(f"{directory}: has no {' or '.join(f'{name}*.parquet' for name in split_names)}")
    where = f"{directory}, {files[0].name}" if len(files) == 1 else f"{directory}, {split_names[0]}"
    rows = _arrow(files, where)
    image = _cells(rows, _column(rows, where, IMAGE_COLUMNS))
    label = _column(rows, where, LABEL_COLUMNS)
    names = getattr(rows.features[label], "names", None) or label_names
    if names is None:
        raise RequestError(f"{where}: column {label!r} has no class names, allowed: a ClassLabel")
    labels = torch.tensor([-1 if value is None else int(value) for value in rows.data.column(label).to_pylist()])

    def read(i: int) -> bytes:
        content = image[i].as_py()
        if not content:
            raise RequestError(f"{where}, row {i}: has no image")
        return content

    digest = digest_of(labels.numpy().tobytes(), _lengths(image))
    written = digest_of([file.stat().st_mtime_ns for file in files])
    return Listing(labels, tuple(names), read, lambda i: f"{where}, row {i}", digest, written)


def _arrow(files: Sequence[Path], where: str) -> Any:
    # The library reports its use home unless it is told not to.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    # The library takes paths for patterns.
    patterns = [glob.escape(str(file)) for file in files]
    written = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    copy = cache_directory() / "datasets" / digest_of(written)
    for attempt in (1, 2):
        try:
            return datasets.Dataset.from_parquet(patterns, cache_dir=str(copy))
        except Exception as error:
            # Perhaps not the source is damaged but its copy.
            shutil.rmtree(copy, ignore_errors=True)
            if attempt == 2:
                cause = " ".join(str(error.__cause__ or error).split())[:200]
                raise RequestError(f"{where}: not a readable data set ({cause})") from None


def _column(rows: Any, where: str, allowed: Sequence[str]) -> str:
    for name in allowed:
        if name in rows.column_names:
            return name
    raise RequestError(f"{where}: found columns {', '.join(rows.column_names)}, allowed: {' or '.join(allowed)}")


def _cells(rows: Any, column: str) -> Any:
    """The encoded images, as an Arrow column of bytes: far quicker than a row of the library's at a time."""
    import pyarrow

    cells = rows.data.column(column)
    if not pyarrow.types.is_struct(cells.type):
        return cells
    return pyarrow.chunked_array([chunk.field("bytes") for chunk in cells.chunks], pyarrow.binary())


def _lengths(image: Any) -> bytes:
    import pyarrow.compute

    return pyarrow.compute.binary_length(image).to_numpy().tobytes()
