"""Files that are either whole or not there."""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from robsynth.errors import RequestError, RunError

if TYPE_CHECKING:
    import numpy as np

# How the names of image files end.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then move it into place.

    Raises
    ------
    RunError
        If the file cannot be written (a full disk, a read-only directory); nothing half-written stays.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file; a RequestError names a file that is missing or is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RequestError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: not a readable JSON file ({error})") from None


def read_npz(path: Path) -> "dict[str, np.ndarray]":
    """The arrays of an .npz file, none of them pickled; a RequestError names a file that is damaged."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, AttributeError) as error:
        raise RequestError(f"{path}: not a readable .npz file ({error})") from None


def digest(value: Any) -> str:
    """A short digest of a JSON-like value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def file_sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def path_digest(path: Path) -> str:
    """A digest of a file's bytes, or of the names and bytes of all files below a folder."""
    if path.is_file():
        return file_sha1(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return digest([[file.relative_to(path).as_posix(), file_sha1(file)] for file in files])


def some(names: Sequence[str], most: int = 20) -> str:
    """Names for a line: the first `most`, and how many there are if there are more."""
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def shown(path: Path) -> str:
    """A path as a record may have it: without the name of the user."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def cache_directory() -> Path:
    """Where copies of what is costly are kept: ROBSYNTH_CACHE, or robsynth under the user's cache directory."""
    if named := os.environ.get("ROBSYNTH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "robsynth"
