"""From features to figures: one function for each kind of measurement.

Each gives, for each of its metrics, the value and what is known of its certainty, as a figure's fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robsynth.metrics import distances, manifold, uncertainty
from robsynth.metrics.cache import arrays_once
from robsynth.metrics.distances import Factored, Statistics, factored
from robsynth.metrics.features import Features
from robsynth.metrics.protocols import SEED, Measurement

Found = dict[str, dict[str, Any]]
# So many images' features are factored as they are, which is exact; of more the covariance is.
FEW = 5_000


@dataclass(frozen=True)
class Sets:
    """What is measured: the samples, the reference, and other real images where a metric sets them beside.

    `labels` (n,) and `reference_labels` (m,) are classes, of `label_names`; `statistics` is what is left of a reference
    whose images are not here.
    """

    samples: Features
    reference: Features | None = None
    held_out: Features | None = None
    labels: np.ndarray | None = None
    reference_labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    statistics: Statistics | None = None
    resamples: int = 0


def statistics(features: Features) -> Statistics:
    """Mean and covariance of many features, kept for the next time."""

    def work() -> dict[str, np.ndarray]:
        found = Statistics.of(features.chunks())
        return {"count": np.array(found.count), "mu": found.mean, "sigma": found.covariance}

    kept = arrays_once("statistics", features.key, work)
    return Statistics(int(kept["count"]), kept["mu"], kept["sigma"])


# Of references, by their features' key: all the sets of a run are measured against one or two.
_factors: dict[str, Factored] = {}


def _factor(reference: Features) -> Factored:
    if reference.key not in _factors:
        part = reference.all() if reference.count <= FEW else statistics(reference)
        _factors[reference.key] = factored(part)
    return _factors[reference.key]


def fid(asked: Measurement, sets: Sets) -> Found:
    """Heusel et al. (2017), with an interval by bootstrap over the samples."""
    against = sets.statistics or statistics(_given(sets.reference))
    value = distances.frechet_from_statistics(Statistics.of(sets.samples.chunks()), against)
    if not sets.resamples:
        return {"fid": {"value": value}}
    factor = factored(against) if sets.reference is None else _factor(sets.reference)
    interval = uncertainty.frechet_interval(sets.samples.all(), factor, sets.resamples, SEED)
    return {"fid": {"value": value, "interval": interval}}


def fid_infinity(asked: Measurement, sets: Sets) -> Found:
    """Chong & Forsyth (2020): what FID tends to with ever more samples."""
    value, error = uncertainty.frechet_infinity(sets.samples.all(), _factor(_given(sets.reference)), seed=SEED)
    return {"fid_infinity": {"value": value, "error": error}}


def class_fid(asked: Measurement, sets: Sets) -> Found:
    """The mean over classes of the FID between the images of one class."""
    if sets.labels is None or sets.reference_labels is None:
        return {"class_fid": {"value": None, "why": "not available: these samples have no classes"}}
    each = distances.class_frechet_distances(
        sets.samples.all(), sets.labels, _given(sets.reference).all(), sets.reference_labels, len(sets.label_names)
    )
    if np.isnan(each).any():
        few = sets.label_names[int(np.isnan(each).argmax())]
        return {"class_fid": {"value": None, "why": f"not available: fewer than two images of {few}"}}
    return {"class_fid": {"value": float(each.mean()), "per_class": by_class(each, sets.label_names)}}


def kid(asked: Measurement, sets: Sets) -> Found:
    """Binkowski et al. (2018), times 1000."""
    mean, spread = distances.kernel_distance(
        sets.samples.all(), _given(sets.reference).all(), asked.subsets, asked.subset_size, SEED
    )
    return {"kid": {"value": 1000 * mean, "spread": 1000 * spread, "error": 1000 * spread / asked.subsets**0.5}}


def inception_score(asked: Measurement, sets: Sets) -> Found:
    """Salimans et al. (2016), also as a share of the score that as many real images have."""
    extractor = sets.samples.extractor
    if not extractor.has_logits:
        missing = {"value": None, "why": extractor.why_no_logits}
        return {"is": missing, "is_share": missing}
    mean, spread = distances.inception_score(sets.samples.all("logits"), asked.splits, SEED)
    found: Found = {"is": {"value": mean, "spread": spread}}
    if sets.reference is not None:
        real, _ = distances.inception_score(sets.reference.all("logits"), asked.splits, SEED)
        found["is_share"] = {"value": mean / real, "spread": spread / real}
    return found


def precision_recall(asked: Measurement, sets: Sets) -> Found:
    """Kynkäänniemi et al. (2019)."""
    return _shares(asked, sets, "precision", "recall")


def density_coverage(asked: Measurement, sets: Sets) -> Found:
    """Naeem et al. (2020)."""
    return _shares(asked, sets, "density", "coverage")


def _shares(asked: Measurement, sets: Sets, *names: str) -> Found:
    real, generated = _given(sets.reference).all(), sets.samples.all()
    found = manifold.precision_recall_density_coverage(real, generated, asked.neighbours)
    return {name: {"value": found[name]} for name in names}


def memorised(asked: Measurement, sets: Sets) -> Found:
    """How many samples are training images, and how many are suspiciously near to one."""
    reference = _given(sets.reference).all()
    near, which = (part[:, 0] for part in manifold.nearest_neighbours(sets.samples.all(), reference))
    usual, _ = manifold.nearest_neighbours(_given(sets.held_out).all(), reference)
    # Equal images have equal features, but for the last digit, where a batch's place may show; the pixels decide.
    alike = np.flatnonzero(near <= 1e-3 * np.median(usual))
    pairs = zip(
        sets.samples.source.pixels(alike), _given(sets.reference).source.pixels(which[alike]), strict=True
    )  # fmt: skip
    return {
        "copies": {"value": float(sum(np.array_equal(ours, theirs) for ours, theirs in pairs))},
        "memorised": {"value": manifold.memorised_share(near, usual[:, 0])},
    }


def _given(features: Features | None) -> Features:
    assert features is not None
    return features


def by_class(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """One value a class, under the classes' names."""
    return {name: float(value) for name, value in zip(names, values, strict=True)}


MEASURES: dict[str, Callable[[Measurement, Sets], Found]] = {
    "fid": fid,
    "fid_infinity": fid_infinity,
    "class_fid": class_fid,
    "kid": kid,
    "is": inception_score,
    "precision_recall": precision_recall,
    "density_coverage": density_coverage,
    "memorised": memorised,
}
