"""Networks of a user's own as extractors."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robsynth.errors import RequestError
from robsynth.files import digest, file_sha1
from robsynth.metrics.extractors.extractor import Extractor, state_digest

Factory = Callable[[torch.device], nn.Module]
_factories: dict[str, Factory] = {}


def register_extractor(name: str, factory: Factory) -> None:
    """Let protocols call a network by `name`, letters, digits and underscores.

    `factory(device)` gives a module from uint8 (n, 3, H, W) of any size to features (n, D), or to features and
    logits (n, K): a row an image, whatever the others in the batch are, and the same D for all sizes.
    """
    from robsynth.metrics.extractors import KNOWN

    if not name.isidentifier() or name != name.lower() or name in (*KNOWN, "judge"):
        raise RequestError(f"register_extractor: found {name!r}, allowed: a name like my_network2, not yet taken")
    _factories[name] = factory


def registered() -> dict[str, Factory]:
    """By name: what was registered here, and what plugins registered with torch-fidelity."""
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    theirs = FEATURE_EXTRACTORS_REGISTRY.items()
    return {
        name: _factory_of(name, kind) for name, kind in theirs if not kind.__module__.startswith("torch_fidelity.")
    } | _factories


def _factory_of(name: str, kind: Any) -> Factory:
    """Features as torch-fidelity takes them for FID, and logits for the Inception Score if these are others."""
    layers = dict.fromkeys(kind.get_default_feature_layer_for_metric(metric) for metric in ("fid", "isc"))
    return lambda device: kind(name, list(layers))


class OwnExtractor(Extractor):
    """A registered network; the content of its weights and of the files it is written in decide its digest.

    Raises
    ------
    RequestError
        If what it gives are not features, or features and logits.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.name, self.device = name, device
        factory = registered()[name]
        self._network = factory(device).to(device).requires_grad_(False).eval()
        self._weights, self._code = state_digest(self._network), _code(factory, self._network)
        with torch.inference_mode():
            found = self.outputs(torch.zeros(2, 3, 64, 64, dtype=torch.uint8, device=device))
        shapes = [tuple(output.shape) for output in found]
        if len(shapes) > 2 or any(len(shape) != 2 or shape[0] != 2 for shape in shapes):
            raise RequestError(
                f"plugins: {name} gives {shapes} for 2 images, allowed: features (2, D), or them and logits (2, K)"
            )
        self.dimensions, self.has_logits = shapes[0][1], len(shapes) == 2
        if not self.has_logits:
            self.why_no_logits = f"not available: {name} gives features alone, and a score needs logits as well"

    def describe(self) -> dict[str, Any]:
        return {
            "extractor": f"{self.name}, registered by the user",
            "weights": f"sha256 {self._weights}",
            "code": self._code,
            "layer": "its output",
            "resize": "its own",
            "quantisation": "uint8, grey levels repeated over three channels",
            "precision": "fp32",
        }

    def outputs(self, x: Tensor) -> tuple[Tensor, ...]:
        found = self._network(x.contiguous())
        return tuple(found) if isinstance(found, tuple | list) else (found,)


def _code(factory: Factory, network: nn.Module) -> str:
    """A digest of the files that the network is written in: its weights do not say what it does with an image."""
    found = {path for part in (factory, *map(type, network.modules())) if (path := _file(part))}
    theirs = Path(torch.__file__).parent
    return digest(sorted(file_sha1(path) for path in found if not path.is_relative_to(theirs)))


def _file(part: Any) -> Path | None:
    try:
        path = Path(inspect.getfile(part))
    except (TypeError, OSError):
        return None
    return path if path.is_file() else None
