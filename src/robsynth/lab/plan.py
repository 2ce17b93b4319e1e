"""What a command would do, without doing it: the costs of its own stages, priced on this machine.

A pass is one image's way through a network, there or back. Operations are counted on the real network; seconds are
this machine's, from a few real passes at a small batch, so another machine's follow from the operations and its speed.
"""

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from robsynth.ascent import frozen
from robsynth.classifiers import build_classifier, find_checkpoint, is_safetensors
from robsynth.config import FOREIGN, Network
from robsynth.errors import RequestError
from robsynth.lab.context import Context, open_context
from robsynth.lab.runner import Cost, Stage
from robsynth.machine import arithmetic
from robsynth.metrics.extractors import open_extractor
from robsynth.progress import say

# Values in the batch that is timed: 64 images of 32 px in colour, 2 of 224.
PROBE_VALUES = 64 * 3 * 32**2
REPEATS = 3
Through = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Price:
    """Of one pass of one image: operations, seconds here; bytes that it keeps for the way back, and the weights'."""

    operations: float = 0.0
    seconds: float = 0.0
    kept_bytes: int = 0
    weights_bytes: int = 0


def plan(command: str, config: Any) -> dict[str, Any]:
    """The stages of `robsynth COMMAND` with these settings, and what each would take."""
    context = open_context(command, config)
    stages: list[Stage] = importlib.import_module(f"robsynth.commands.{command}").stages(context)
    costs = {stage.name: stage.cost(context) for stage in stages}
    prices = {
        name: _price(context, name) for name in dict.fromkeys(name for cost in costs.values() for name in cost.passes)
    }
    planned = [_planned(name, cost, prices) for name, cost in costs.items()]
    for one in planned:
        say(f"{one['stage']:<28} {one['what']:<64} {one['tera_operations']:>12,.1f} Tflop {one['memory_gb']:>7.2f} GB "
            f"{one['hours_here']:>9.2f} h here")  # fmt: skip
    sizes, classifier = context.sizes, prices.get("classifier", Price())
    return {
        "experiment": getattr(config, "experiment", None),
        "scale": getattr(config, "scale", None),
        "network": {
            "arch": config.classifier.arch,
            "parameters": classifier.weights_bytes // 4,
            "gflop_per_forward": round(classifier.operations / 1e9, 3),
        },
        "images": {"train": sizes.train, "test": sizes.test, "classes": sizes.classes},
        "precision": context.machine.precision,
        "stages": planned,
        "tera_operations": round(sum(one["tera_operations"] for one in planned), 1),
        "hours_here": round(sum(one["hours_here"] for one in planned), 2),
    }


def _planned(stage: str, cost: Cost, prices: dict[str, Price]) -> dict[str, Any]:
    found = [(passes, prices[name]) for name, passes in cost.passes.items()]
    memory = max((cost.copies * price.weights_bytes + cost.batch * price.kept_bytes for _, price in found), default=0)
    return {
        "stage": stage,
        "what": cost.what,
        "passes": sum(passes for passes, _ in found),
        "tera_operations": round(sum(passes * price.operations for passes, price in found) / 1e12, 2),
        "memory_gb": round(memory / 2**30, 3),
        "hours_here": round(sum(passes * price.seconds for passes, price in found) / 3600, 4),
    }


def _price(context: Context, name: str) -> Price:
    """Of the network that costs call so, untrained: what it costs does not depend on its weights."""
    config, sizes = context.config, context.sizes
    if name in ("classifier", "judge"):
        network, shape = _classifier(context, name)
        return _measured(context, network, shape, network)
    if name not in ("critic", "generator"):
        return _extractor(context, name)
    # Lightning takes seconds to import.
    from robsynth.baselines.wgan_gp import GanTraining

    rival = GanTraining(config.baseline, sizes.classes, sizes.shape, context.seed).to(context.machine.device)
    part, shape = (rival.critic, sizes.shape) if name == "critic" else (rival.generator, (config.baseline.latent,))
    return _measured(context, part, shape, lambda x: part(x, torch.zeros(len(x), dtype=torch.int64, device=x.device)))


def _classifier(context: Context, name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The classifier or the judge, with the shape of its images: a checkpoint's own, or the one that is described."""
    named, sizes = getattr(context.config, name), context.sizes
    checkpoint = named if isinstance(named, str) else named.checkpoint
    if name in context.shared:
        return context.shared[name], sizes.shape
    with suppress(RequestError):
        # One that is not here costs what its description does.
        if checkpoint and is_safetensors(path := find_checkpoint(checkpoint)):
            network, about = context.open(path)
            return network, tuple(about["shape"])
    settings: Network = named.network if name == "judge" else named
    if settings.arch in FOREIGN:
        from robsynth.classifiers.zoo import open_foreign

        return open_foreign(settings, context.data_settings.name, sizes.shape)[0].to(
            context.machine.device
        ), sizes.shape
    grey = [0.5] * sizes.shape[0]
    built = build_classifier(settings.arch, settings.widths, sizes.shape[0], sizes.classes, grey, grey,
                             depth=settings.depth, widen=settings.widen).to(context.machine.device)  # fmt: skip
    return built, sizes.shape


def _extractor(context: Context, name: str) -> Price:
    """Images go one way through an extractor; nothing is known of one whose weights are not here."""
    kind, _, precision = name.partition(" ")
    weights = context.config.metrics.inception_weights
    try:
        extractor = open_extractor(kind, precision or "fp32", context.machine.device, inception_weights=weights)
    except RequestError:
        return Price()
    images = torch.zeros(extractor.batch, *context.sizes.shape, dtype=torch.uint8).permute(0, 2, 3, 1).numpy()
    with FlopCounterMode(display=False) as counter:
        extractor(images)
    return Price(counter.get_total_flops() / len(images), _seconds(context, lambda: extractor(images)) / len(images))


def _measured(context: Context, network: nn.Module, shape: tuple[int, ...], through: Through) -> Price:
    count = min(64, max(2, PROBE_VALUES // torch.Size(shape).numel()))
    given = torch.rand(count, *shape, device=context.machine.device)

    def forward() -> tuple[Tensor, Tensor]:
        x = given.clone().requires_grad_(True)
        return through(x).float().sum(), x

    with frozen(network), arithmetic(context.machine.precision, context.machine.device):
        with FlopCounterMode(display=False) as counter:
            forward()
        seconds = _seconds(context, lambda: torch.autograd.grad(*forward()))
        kept = _kept_bytes(network, forward)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return Price(counter.get_total_flops() / count, seconds / (2 * count), kept // count, weights)


def _seconds(context: Context, work: Callable[[], object]) -> float:
    """The least of a few; the first time sets things up, and is not counted."""
    found = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        work()
        if context.machine.device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return min(found[1:])


def _kept_bytes(network: nn.Module, forward: Callable[[], object]) -> int:
    """What a forward pass keeps for the way back, weights aside."""
    own = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        # Held until all is counted: what is let go may have its place taken.
        held = forward()
    del held
    return sum(kept.values())
