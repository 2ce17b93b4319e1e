"""Our own checkpoints: one safetensors file, weights and a JSON description. Safe to open: nothing is executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from robsynth.errors import RequestError
from robsynth.files import write_atomically

FORMAT = "robsynth-1"
EXTRA = "extra."


def save_checkpoint(
    path: Path, network: nn.Module, kind: str, about: dict[str, Any], half: bool = False,
    extra: Mapping[str, Tensor] | None = None,
) -> None:  # fmt: skip
    """Write the weights of `network` with what is needed to build it again.

    `kind` is "classifier" or the baseline's name; `about` is JSON-like and is given back on reading. `half` stores
    parameters in 16 bits (buffers, such as a normalisation, stay as they are). `extra` are further tensors, for
    `read_extra`.
    """
    tensors = dict(network.state_dict())
    if half:
        tensors |= {name: _halved(value) for name, value in network.named_parameters()}
    tensors |= {EXTRA + name: value for name, value in (extra or {}).items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    # One entry: safetensors writes several in any order, and equal checkpoints should be equal files.
    header = json.dumps({"format": FORMAT, "kind": kind, "about": about}, sort_keys=True)
    content = save(tensors, metadata={"robsynth": header})
    write_atomically(path, lambda file: file.write(content))


def _halved(value: Tensor) -> Tensor:
    half = value.half()
    return half if half.isfinite().all() else value


def read_checkpoint(path: str | Path, key: str = "checkpoint") -> tuple[str, dict[str, Tensor], dict[str, Any]]:
    """Kind, tensors (16-bit ones as float32) and description of a checkpoint, without what is extra.

    Raises
    ------
    RequestError
        If the file is missing, truncated, or not a checkpoint of this package; the message names `key`.
    """
    header, tensors = _read(path, key)
    return header["kind"], {n: value for n, value in tensors.items() if not n.startswith(EXTRA)}, header["about"]


def read_extra(path: str | Path, prefix: str, key: str = "checkpoint") -> dict[str, Tensor]:
    """The extra tensors whose names begin with `prefix`, by the rest of their names; empty where there are none."""
    _, tensors = _read(path, key)
    start = EXTRA + prefix
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _read(path: str | Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{key}: no file {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("robsynth", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{key}: {path} is truncated or no robsynth checkpoint ({error})") from None
    found = header.get("format") if isinstance(header, dict) and header.keys() >= {"kind", "about"} else None
    if found != FORMAT:
        raise RequestError(f"{key}: {path} is no robsynth checkpoint (format {found!r}, allowed: {FORMAT!r})")
    return header, {n: value.float() if value.dtype == torch.float16 else value for n, value in tensors.items()}
