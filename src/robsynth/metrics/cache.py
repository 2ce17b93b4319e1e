"""What was computed before, kept by the content of all that it was computed from."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robsynth.errors import RequestError, RunError
from robsynth.files import cache_directory, digest, read_json, read_npz, write_atomically, write_json
from robsynth.progress import say

Arrays = dict[str, np.ndarray]


def is_kept(path: Path) -> bool:
    """Whether an .npz is there, and not cut off."""
    if path.exists() and not zipfile.is_zipfile(path):
        say(f"{path}: damaged, computed anew")
        return False
    return path.exists()


def keep_arrays(path: Path, arrays: Arrays) -> None:
    """Write an .npz into the cache; a RunError says where else the cache can be."""

    def write(file: Any) -> None:
        np.savez(file, allow_pickle=False, **arrays)

    try:
        write_atomically(path, write)
    except RunError as error:
        raise RunError(f"{error}; ROBSYNTH_CACHE=DIR keeps such copies elsewhere") from error


def arrays_once(kind: str, content: Any, work: Callable[[], Arrays]) -> Arrays:
    """The arrays that `work` gives for this JSON-like content, computed when they are first asked for."""
    path = cache_directory() / kind / f"{digest(content)}.npz"
    if not is_kept(path):
        keep_arrays(path, work())
    return read_npz(path)


def values_once(kind: str, content: Any, work: Callable[[], Any]) -> Any:
    """The JSON-like value that `work` gives for this content, computed when it is first asked for."""
    path = cache_directory() / kind / f"{digest(content)}.json"
    if path.exists():
        try:
            return read_json(path)
        except RequestError:
            say(f"{path}: damaged, computed anew")
    value = work()
    try:
        write_json(path, value)
    except RunError as error:
        say(f"not cached: {error}")
    return value
