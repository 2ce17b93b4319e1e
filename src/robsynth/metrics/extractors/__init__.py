"""Networks that features are taken from, each under the name that protocols call it by."""

import torch

from robsynth.errors import RequestError
from robsynth.metrics.extractors.classifiers import EfficientNetLite0, JudgeExtractor
from robsynth.metrics.extractors.extractor import Extractor
from robsynth.metrics.extractors.fidelity import NETWORKS, FromTorchFidelity
from robsynth.metrics.extractors.inception import RESIZES, Inception
from robsynth.metrics.extractors.own import OwnExtractor, register_extractor, registered
from robsynth.metrics.extractors.weights import get_weights

__all__ = ["KNOWN", "Extractor", "JudgeExtractor", "open_extractor", "register_extractor"]
# Extractors whose names say which weights they have; of all others a protocol's name needs the digest.
KNOWN = (*RESIZES, EfficientNetLite0.name, *NETWORKS)


def open_extractor(
    name: str, precision: str, device: torch.device, inception_weights: str | None = None,
    judge: JudgeExtractor | None = None,
) -> Extractor:  # fmt: skip
    """The extractor of this name.

    Raises
    ------
    RequestError
        If there is none of this name or precision, or its weights cannot be had.
    """
    if precision == "tf32" and device.type != "cuda":
        raise RequestError(
            f"metrics.protocols: {name}: found _tf32, which GPUs have; allowed: its name without, or _bf16"
        )
    if name in RESIZES:
        return Inception(get_weights(inception_weights), name, precision, device)
    if name == EfficientNetLite0.name:
        return EfficientNetLite0(precision, device)
    if precision != "fp32":
        raise RequestError(f"metrics.protocols: {name} is computed in float32; allowed: its name without _{precision}")
    if name == JudgeExtractor.name:
        if judge is None:
            raise RequestError("metrics.protocols: there is no judge here; allowed: judge=FILE")
        return judge
    if name in NETWORKS:
        return FromTorchFidelity(name, device)
    if name in registered():
        return OwnExtractor(name, device)
    allowed = ", ".join([*KNOWN, JudgeExtractor.name, *registered()])
    raise RequestError(
        f"metrics.protocols: found the extractor {name!r}, allowed: {allowed}, "
        "or one that a module in plugins registers"
    )
