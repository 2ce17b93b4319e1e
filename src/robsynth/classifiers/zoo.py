"""Other libraries' trained classifiers, by name: timm's, torchvision's, RobustBench's.

Their weights come from where those libraries have them, over the network unless a copy is here.
"""

import contextlib
import difflib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from robsynth.classifiers.classifier import AnyClassifier, fake_relu
from robsynth.config import Network
from robsynth.errors import RequestError, RunError
from robsynth.files import cache_directory

RELU = {torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, nn.functional.relu, nn.functional.relu_}
ROBUSTBENCH = ("cifar10", "cifar100", "imagenet")


class _ReluCalls(TorchFunctionMode):
    """Counts the ReLUs that a network calls, and makes number `swap` (from 1) a fake one."""

    def __init__(self, swap: int = 0) -> None:
        super().__init__()
        self.swap, self.count = swap, 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in RELU:
            self.count += 1
            if self.count == self.swap:
                return fake_relu(args[0])
        return function(*args, **(kwargs or {}))


class Foreign(AnyClassifier):
    """A classifier of another library, for images of `shape` (C, H, W), where that library's network lies.

    Its head is the last linear layer that it calls with as many outputs as it has logits, its representation that
    layer's input. The logits are its own, which may be more than that head (a mean of two, for one). `fake` replaces
    the last ReLU that it calls, and has no effect on a network without any.

    Raises
    ------
    RequestError
        If the network does not take such images, or has no such layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], shape: Sequence[int]) -> None:
        super().__init__()
        if len(mean) not in (1, shape[0]):  # It would be stretched over the channels silently.
            raise RequestError(f"classifier.model: it takes images of {len(mean)} channels, found {shape[0]}")
        self.network = network.eval()
        device = next(network.parameters()).device
        self.register_buffer("mean", torch.tensor(mean, device=device).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, device=device).view(1, -1, 1, 1))
        called: list[nn.Linear] = []
        hooks = [module.register_forward_hook(lambda module, *_: called.append(module))
                 for module in network.modules() if isinstance(module, nn.Linear)]  # fmt: skip
        try:
            with torch.no_grad(), _ReluCalls() as relus:
                logits = self.network(self._normalised(torch.full((1, *shape), 0.5, device=device)))
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            raise RequestError(
                f"classifier.model: it does not take images of {'x'.join(map(str, shape))} ({error}); "
                "allowed: dataset.size= as it was trained with"
            ) from None
        finally:
            for hook in hooks:
                hook.remove()
        heads = [module for module in called if module.out_features == logits.shape[-1]]
        if not heads:
            raise RequestError("classifier.model: it does not end in a linear layer, and has no representation")
        self.head, self.relus = heads[-1], relus.count

    def _normalised(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def _run(self, x: Tensor, fake: bool) -> Tensor:
        if not fake or not self.relus:
            return self.network(self._normalised(x))
        with _ReluCalls(swap=self.relus):
            return self.network(self._normalised(x))

    def representation(self, x: Tensor, fake: bool = False) -> Tensor:
        seen: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            self._run(x, fake)
        finally:
            hook.remove()
        return seen[-1]

    def forward(self, x: Tensor, fake: bool = False) -> Tensor:
        return self._run(x, fake)


def open_foreign(settings: Network, dataset: str, shape: Sequence[int]) -> tuple[Foreign, str]:
    """The network that `settings` names, trained, and a line that says what it is.

    Raises
    ------
    RequestError
        If its library is not installed or does not know it, or it does not fit.
    RunError
        If its weights cannot be had.
    """
    assert settings.model is not None
    try:
        network, mean, std, what = ZOOS[settings.arch](settings.model, settings, dataset)
    except ImportError as error:
        raise RequestError(
            f"classifier.arch: {settings.arch} cannot be imported ({error}); pip install 'robsynth[zoo]'"
        ) from None
    return Foreign(network, mean, std, shape), what


Opened = tuple[nn.Module, Sequence[float], Sequence[float], str]


def _timm(name: str, settings: Network, dataset: str) -> Opened:
    import timm
    from timm.data import resolve_model_data_config

    _check_known(name.partition(".")[0], timm.list_models())
    network = _fetched("timm", name, lambda: timm.create_model(name, pretrained=True))
    about = resolve_model_data_config(network)
    return network, about["mean"], about["std"], f"timm {timm.__version__}, {name}"


def _torchvision(name: str, settings: Network, dataset: str) -> Opened:
    import torchvision
    from torchvision import models

    _check_known(name, models.list_models(module=models))
    weights = models.get_model_weights(name).DEFAULT
    network = _fetched("torchvision", name, lambda: models.get_model(name, weights=weights))
    about = weights.transforms()
    return network, about.mean, about.std, f"torchvision {torchvision.__version__}, {name}, {weights.name}"


def _robustbench(name: str, settings: Network, dataset: str) -> Opened:
    """Their networks normalise inside; their loader opens files by torch's safe loader."""
    if dataset not in ROBUSTBENCH:
        raise RequestError(f"dataset: found {dataset!r}, allowed with robustbench: {', '.join(ROBUSTBENCH)}")
    if importlib.util.find_spec("autoattack") is None:
        # RobustBench's package asks for pyautoattack, but imports it by the name that it has in its repository.
        sys.modules["autoattack"] = importlib.import_module("pyautoattack")
    from robustbench.model_zoo import model_dicts
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel
    from robustbench.utils import load_model

    threat = settings.threat
    _check_known(name, model_dicts[BenchmarkDataset(dataset)].get(ThreatModel(threat), {}))
    network = _fetched(
        "robustbench",
        name,
        lambda: load_model(name, cache_directory() / "robustbench", dataset=dataset, threat_model=threat),
    )
    return network, [0.0], [1.0], f"robustbench {version('robustbench')}, {name}, {dataset}, {threat}"


ZOOS: dict[str, Callable[[str, Network, str], Opened]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "robustbench": _robustbench,
}


def _check_known(name: str, known: Iterable[str]) -> None:
    if name not in (names := list(known)):
        close = difflib.get_close_matches(name, names, 3) or names[:3]
        raise RequestError(f"classifier.model: found {name!r}, allowed: {', '.join(close)} and others ({len(names)})")


def _fetched(library: str, name: str, load: Callable[[], nn.Module]) -> nn.Module:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Where robsynth's own words go.
            return load()
    except Exception as error:  # Each library's and each transport's own.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise RunError(f"classifier.model: {library} could not give the weights of {name} ({reason})") from None
