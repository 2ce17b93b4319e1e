"""A directory that belongs to settings: a run's, a store of samples, a sweep's."""

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import read_json, write_json

# What changes no result, so that a directory is the same settings' with another of it. Of `device` and `precision` runs
# keep what they stood for.
INCIDENTAL = ("out", "force", "debug", "tracker", "trainer", "launcher", "device", "precision")


def decisive(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that a result depends on."""
    return {key: value for key, value in config.items() if key not in INCIDENTAL}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def claim(
    directory: Path, manifest: str, content: dict[str, Any], what: str, force: bool = False, among: bool = False
) -> dict[str, Any]:
    """Make `directory` that of `content`, or see that it is; gives its manifest, which says when it was `started`.

    Whose it is says the content's `identity`, or where it has none all of it. `what` the directory holds is said in
    complaints, e.g. "a run". With `force` one of other settings is removed first; nothing that is not one ever is.
    With `among` other files may be there.

    Raises
    ------
    RequestError
        If it belongs to other settings (they are named), holds other files, or cannot be written to.
    """
    path = writable_directory(directory) / manifest
    if force and path.exists():
        for other in directory.iterdir():
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    if path.exists():
        known = read_json(path)
        known = known if isinstance(known, dict) else {}
        if differ := _difference(_identity(known), _identity(content)):
            raise RequestError(
                f"out: {directory} holds {what} of other settings ({differ}); allowed: force=true, or another out"
            )
        return known
    others = sorted(other.name for other in directory.iterdir() if not other.name.startswith("."))
    if others and not among:
        raise RequestError(f"out: {directory} holds other files ({others[0]}); allowed: an empty directory")
    content = {**content, "started": now()}
    write_json(path, content)
    return content


def _identity(content: dict[str, Any]) -> dict[str, Any]:
    return content.get("identity") or {key: value for key, value in content.items() if key != "started"}


def _difference(old: Any, new: Any, key: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        parts = (_difference(old.get(name), new.get(name), f"{key}.{name}") for name in sorted({*old, *new}))
        return ", ".join(part for part in parts if part)
    said = key.removeprefix(".config").lstrip(".")
    return "" if old == new else f"{said} {old} instead of {new}"


def writable_directory(path: str | os.PathLike[str], key: str = "out") -> Path:
    """`path` as a directory that exists and can be written to; otherwise a RequestError that names `key`."""
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise RequestError(
            f"{key}: {directory} is no directory that can be written to ({error.strerror or error})"
        ) from None
    return directory
