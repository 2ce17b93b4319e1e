"""Stage that measures classifiers: clean, under attacks, and along a curve of radii."""

from collections.abc import Callable
from typing import Any

from robsynth.classifiers import AnyClassifier
from robsynth.data.images import CHUNK, bounded
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage, as_result
from robsynth.metrics.accuracy import Threat, accuracy_passes, check_classes, measure_accuracy
from robsynth.metrics.robustness import open_attacks
from robsynth.records.figures import Figure

Loaded = tuple[AnyClassifier, dict[str, Any]]
Subjects = dict[str, tuple[str, Callable[[Context], Loaded]]]
"""By their names in figures, the networks' names in costs, and how they are opened."""


def accuracy(
    context: Context, subjects: Subjects, threat: Threat, needs: tuple[str, ...] = (), name: str = "accuracy"
) -> Stage:
    """Clean and robust accuracies of classifiers on the test images."""
    metrics = context.config.metrics
    open_attacks(metrics.attacks)

    def work(context: Context) -> Result:
        figures: list[Figure] = []
        warnings: list[str] = []
        inherited = {}
        for subject, (network_name, opened) in subjects.items():
            network, about = opened(context)
            if about.get("training") and f"train {network_name}" not in context.results:
                # What a bundle knows of the training that it came from.
                inherited[network_name] = about["training"]["history"]
            check_classes(about, context.data)
            kept = context.directory / "accuracy" / subject.replace(" ", "_")
            found, odd = measure_accuracy(subject, network, context.data, threat, metrics, context.seed, kept)
            figures, warnings = figures + found, warnings + odd
        return {**as_result(figures, warnings), "inherited": inherited}

    networks = [network_name for network_name, _ in subjects.values()]
    return Stage(name, work, lambda context: _cost(context, threat, networks), needs)


def _cost(context: Context, threat: Threat, networks: list[str]) -> Cost:
    metrics, test = context.config.metrics, context.sizes.test
    count = min(metrics.accuracy_count or test, test)
    what = f"{count} images, {', '.join(metrics.attacks) or 'clean'}, {len(threat.radii)} eps"
    passes = accuracy_passes(metrics, threat, count)
    return Cost(what, dict.fromkeys(networks, passes), min(count, bounded(CHUNK, context.sizes.shape)))
