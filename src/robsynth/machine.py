"""What this machine computes with: a device, and the arithmetic of networks on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from robsynth.errors import RequestError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Machine:
    """A device, and in which precision networks multiply there: "fp32", "tf32" or "bf16" (see `arithmetic`)."""

    device: torch.device
    precision: str = "fp32"


def resolve_machine(device: str, precision: str) -> Machine:
    """The machine of a configuration: "auto" is a GPU where there is one, and bf16 where it is had in hardware.

    Raises
    ------
    RequestError
        If there is no GPU, or none that has tf32.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError("device: found 'cuda', but torch sees no GPU here; allowed: auto, cpu")
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if precision == "tf32" and name != "cuda":
        raise RequestError("precision: found 'tf32', which GPUs have; allowed: auto, fp32, bf16")
    return Machine(torch.device(name), _fastest(name) if precision == "auto" else precision)


def _fastest(device: str) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Inside the block a GPU computes the same bits from the same tensors, as a CPU does anyway.

    What has no such kernel in torch, as the way back through adaptive pooling of some other libraries' networks, is
    computed with a warning, the same but for rounding. So is anything in a batch of another size, or on another GPU:
    shapes choose kernels.
    """
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads it when it is first used, and torch asks for it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn: Any = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    before = (cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory)
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    # To fill memory costs time, and nothing here reads what it did not write.
    cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = True, False, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = before


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Networks inside the block multiply in this precision; weights and images stay float32.

    "fp32" is IEEE float32 in convolutions too, which torch does not promise unless asked; "tf32" rounds their factors
    to ten bits; "bf16" is torch's autocast.
    """
    flags: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext():
            yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value
