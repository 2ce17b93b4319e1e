"""What this machine computes with."""

import contextlib
from contextlib import AbstractContextManager

import torch

from robsynth.errors import RequestError


def resolve_device(name: str) -> torch.device:
    """The device of a configuration: "auto" is a GPU where there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device: found 'cuda', but torch sees no GPU here; allowed: auto, cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """Either "fp32" or "bf16": "auto" is bf16 where the processor multiplies it in hardware."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Computes in `precision`; weights and images stay float32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
