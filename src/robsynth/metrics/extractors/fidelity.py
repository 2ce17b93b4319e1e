"""DINOv2 and CLIP, as torch-fidelity has them, where their weights are in torch hub's cache."""

import hashlib
import pickle
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.metrics.extractors.extractor import Extractor
from robsynth.metrics.extractors.weights import hub_file

# torch-fidelity's name, the layer, its size, and the file in torch hub's cache.
CLIP_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
NETWORKS = {
    "dinov2": ("dinov2-vit-b-14", "dinov2", 768, "dinov2_vitb14_pretrain.pth"),
    "clip": ("clip-vit-b-32", "clip", 512, f"clip-vit-b-32-{CLIP_SHA256}.pt"),
}
DINOV2_CODE = "facebookresearch_dinov2_main"


def why_missing(name: str) -> str | None:
    """Which file of a network's is not here and how it gets there; None if all are."""
    theirs, _, _, file = NETWORKS[name]
    wanted = [hub_file(file)]
    if name == "dinov2":
        # Its code comes from torch hub, too, and is run: only what the user has put there.
        wanted.append(Path(torch.hub.get_dir()) / DINOV2_CODE)
    for path in wanted:
        if not path.exists():
            download = f"fidelity --cpu --fid --feature-extractor {theirs} --input1 DIR --input2 DIR"
            return f"not available: {path} is not here; with a network, `{download}` downloads it"
    return None


class FromTorchFidelity(Extractor):
    """One of torch-fidelity's extractors; nothing is downloaded for it unasked.

    Raises
    ------
    RequestError
        If its weights are not here, or are others; the line says which file is looked for, and how it gets there.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.name, self.device = name, device
        theirs, self._layer, self.dimensions, file = NETWORKS[name]
        if why := why_missing(name):
            raise RequestError(f"metrics.protocols: {name}: {why}")
        self.why_no_logits = f"not available: {name} is no classifier"
        weights = hub_file(file)
        _check(name, weights)
        self._network, self._sha1 = _open(theirs, self._layer, weights).to(device), file_sha1(weights)

    def describe(self) -> dict[str, Any]:
        theirs = NETWORKS[self.name][0]
        return {
            "extractor": f"{theirs} as in torch-fidelity {version('torch-fidelity')}",
            "weights": f"sha1 {self._sha1}",
            "layer": self._layer,
            "resize": "TensorFlow-1 bilinear to 224x224, no antialias",
            "quantisation": "uint8, grey levels repeated over three channels",
            "precision": "fp32",
        }

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self._network(x.contiguous())[0],)


def _check(name: str, weights: Path) -> None:
    """torch-fidelity's loading runs what a file says, so only a file that cannot say anything else gets there."""
    if name == "clip":
        # A TorchScript archive, so code: OpenAI's, whose sha256 ends the file's name, or none.
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not weights.stem.endswith(found):
            raise RequestError(f"{weights}: its sha256 is {found}, allowed: the one in its name; delete it")
        return
    try:
        torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise RequestError(f"{weights}: not {name}'s weights ({error}); delete it") from None


def _open(theirs: str, layer: str, weights: Path) -> Any:
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    try:
        return FEATURE_EXTRACTORS_REGISTRY[theirs](theirs, [layer])
    except Exception as error:
        # What comes from torch hub may fail in any way.
        text = " ".join(str(error).split())
        raise RequestError(f"{weights}: torch-fidelity cannot open {theirs} with it ({text})") from error
