"""Stage that measures classifiers: clean, under attacks, and along a curve of radii."""

from collections.abc import Callable
from typing import Any

from robsynth.classifiers import AnyClassifier
from robsynth.data.images import CHUNK, bounded
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage, as_result
from robsynth.metrics.accuracy import Threat, accuracy_passes, check_classes, measure_accuracy, trained_for
from robsynth.metrics.robustness import open_attacks
from robsynth.records.figures import Figure

Opened = tuple[AnyClassifier, dict[str, Any]]
Subjects = dict[str, tuple[str, Callable[[Context], Opened]]]
"""By their names in figures, the networks' names in costs, and how they are opened."""


def accuracy(context: Context, subjects: Subjects, needs: tuple[str, ...]) -> Stage:
    """Clean and robust accuracies of classifiers on the test images."""
    metrics, threat = context.config.metrics, trained_for(context.config.adversary, context.config.metrics)
    open_attacks(metrics.attacks)

    def work(context: Context) -> Result:
        figures: list[Figure] = []
        warnings: list[str] = []
        inherited = {}
        for subject, (name, opened) in subjects.items():
            network, about = opened(context)
            if about.get("training") and f"train {name}" not in context.results:
                # What a bundle knows of the training that it came from.
                inherited[name] = about["training"]["history"]
            check_classes(about, context.data)
            kept = context.directory / "accuracy" / subject.replace(" ", "_")
            found, odd = measure_accuracy(subject, network, context.data, threat, metrics, context.seed, kept)
            figures, warnings = figures + found, warnings + odd
        return {**as_result(figures, warnings), "inherited": inherited}

    return Stage("accuracy", work, lambda context: _cost(context, threat, [name for name, _ in subjects.values()]),
                 needs)  # fmt: skip


def _cost(context: Context, threat: Threat, networks: list[str]) -> Cost:
    metrics, test = context.config.metrics, context.sizes.test
    count = min(metrics.accuracy_count or test, test)
    radii = dict.fromkeys((*threat.quoted, *threat.curve))
    what = f"{count} images, {', '.join(metrics.attacks) or 'clean'}, {len(radii)} eps"
    passes = accuracy_passes(metrics, threat, count)
    return Cost(what, dict.fromkeys(networks, passes), min(count, bounded(CHUNK, context.sizes.shape)))
