"""Checkpoints that are whole: written beside the one before, and looked at before they are read."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from robsynth.errors import RunError
from robsynth.files import write_atomically
from robsynth.progress import say


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_suffix(".previous" + path.suffix)


class AtomicCheckpoints(TorchCheckpointIO):
    """torch.save's own format, never half-written; what was there before is kept as `previous`.

    Raises
    ------
    RunError
        If it cannot be written; both that were there stay.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content, path = io.BytesIO(), Path(path)
        torch.save(checkpoint, content)
        new = path.with_suffix(".new" + path.suffix)
        write_atomically(new, lambda file: file.write(content.getbuffer()))
        if path.exists():
            os.replace(path, previous(path))
        os.replace(new, path)


def step_back(path: Path) -> None:
    """Put the checkpoint before the one at `path` in its place, if there is one."""
    if previous(path).exists():
        os.replace(previous(path), path)
    else:
        path.unlink(missing_ok=True)


def newest(path: Path) -> Path | None:
    """The checkpoint at `path`, or where it is damaged or gone the one before; None where there is none.

    Raises
    ------
    RunError
        If there are some and all are damaged.
    """
    found = [one for one in (path, previous(path)) if one.exists()]
    for one in found:
        if _is_whole(one):
            return one
        say(f"{one}: damaged" + (", the one before is taken" if one != found[-1] else ""))
    if found:
        raise RunError(f"{found[0]}: damaged, cannot be resumed from; remove it, or use force=true")
    return None


def _is_whole(path: Path) -> bool:
    """Whether every record of the archive that torch.save wrote has its checksum; torch itself does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:
        # Damage can tell zipfile anything: a password, another compression, a place beyond the end.
        return False
