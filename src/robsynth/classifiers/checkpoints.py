"""Our own checkpoints: one safetensors file, weights and a JSON description. Safe to open: nothing is executed."""

import json
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save
from torch import Tensor, nn

from robsynth.errors import RequestError
from robsynth.files import write_atomically

FORMAT = "robsynth-1"


def save_checkpoint(path: Path, network: nn.Module, kind: str, about: dict[str, Any]) -> None:
    """Write the weights of `network` with what is needed to build it again.

    `kind` is "classifier" or the baseline's name; `about` is JSON-like and is given back on reading.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    # One entry: safetensors writes several in any order, and equal checkpoints should be equal files.
    header = json.dumps({"format": FORMAT, "kind": kind, "about": about}, sort_keys=True)
    content = save(tensors, metadata={"robsynth": header})
    write_atomically(path, lambda file: file.write(content))


def read_checkpoint(path: str | Path, key: str = "checkpoint") -> tuple[str, dict[str, Tensor], dict[str, Any]]:
    """Kind, tensors and description of a checkpoint.

    Raises
    ------
    RequestError
        If the file is missing, truncated, or not a checkpoint of this package; the message names `key`.
    """
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{key}: no file {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("robsynth", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{key}: {path} is truncated or no robsynth checkpoint ({error})") from None
    if header.get("format") != FORMAT:
        raise RequestError(
            f"{key}: {path} is no robsynth checkpoint (format {header.get('format')!r}, allowed: {FORMAT!r})"
        )
    return header["kind"], tensors, header["about"]
