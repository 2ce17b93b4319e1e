"""The Hugging Face hub's layout: parquet files with an image column and a `label` column, local or from the hub."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.data.sources.tree import SPLITS
from robsynth.errors import RequestError
from robsynth.files import cache_directory

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels")


def parquet_files(directory: Path, split: str) -> list[Path]:
    """The files of a split: those whose name, or whose folder's, begins with the split's name."""
    found = sorted(directory.rglob("*.parquet"))
    names = SPLITS[split]
    return [path for path in found if path.name.startswith(names) or path.parent.name in names]


def is_parquet(directory: Path) -> bool:
    return directory.is_dir() and bool(parquet_files(directory, "train"))


def parquet(directory: Path, split: str, names: Sequence[str] | None) -> Listing:
    """A split from the parquet files below a directory."""
    files = parquet_files(directory, split)
    if not files:
        raise RequestError(f"{directory}: has no {split}*.parquet")
    digest = digest_of([(path.relative_to(directory).as_posix(), path.stat().st_size) for path in files])
    return _listing({"path": "parquet", "data_files": [str(path) for path in files]}, directory, digest, names)


def hub(repository: str, split: str, names: Sequence[str] | None) -> Listing:
    """A split from the hub; the first time it is downloaded into the user's cache."""
    return _listing({"path": repository}, Path(repository), None, names, split)


def _listing(
    source: dict[str, Any], where: Path, digest: str | None, names: Sequence[str] | None, split: str = "train"
) -> Listing:
    # The library reports its use home unless it is told not to.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    try:
        # Memory-mapped: what is not looked at takes no memory.
        rows = datasets.load_dataset(**source, split=split, cache_dir=str(cache_directory() / "datasets"))
    except Exception as error:
        raise RequestError(f"{where}: not a readable data set ({' '.join(str(error).split())[:200]})") from None
    image, label = (_column(rows, where, names) for names in (IMAGE_COLUMNS, LABEL_COLUMNS))
    rows = rows.cast_column(image, datasets.Image(decode=False))
    kind = rows.features[label]
    own = tuple(kind.names) if isinstance(kind, datasets.ClassLabel) else None
    if own is None and names is None:
        raise RequestError(f"{where}: column {label!r} has no class names; allowed: a ClassLabel")
    labels = [-1 if value is None else int(value) for value in rows.with_format("arrow")[:][label].to_pylist()]

    def read(i: int) -> bytes:
        cell = rows[i][image]
        content = cell and (cell["bytes"] or (cell["path"] and Path(cell["path"]).read_bytes()))
        if not content:
            raise RequestError(f"{where}, {split}, row {i}: has no image")
        return content

    return Listing(
        labels, own or tuple(names or ()), read, lambda i: f"{where}, {split}, row {i}", digest or rows._fingerprint
    )


def _column(rows: Any, where: Path, allowed: Sequence[str]) -> str:
    for name in allowed:
        if name in rows.column_names:
            return name
    raise RequestError(f"{where}: found columns {', '.join(rows.column_names)}, allowed: {' or '.join(allowed)}")
