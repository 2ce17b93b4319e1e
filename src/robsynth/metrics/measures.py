"""From features to figures: one function for each kind of measurement.

A new one is a function here and its entry in `MEASURES`, or a module of one's own that calls `register_metric`.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.metrics import distances, manifold, uncertainty
from robsynth.metrics.cache import arrays_once
from robsynth.metrics.distances import Factored, Statistics, factored
from robsynth.metrics.features import Features
from robsynth.metrics.protocols import JUDGE, MEASURES, SEED, Found, Kind, Measurement
from robsynth.records.figures import METRICS, Metric

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
    test: Features | None = None
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
    """Binkowski et al. (2018), times 1000, with the deviation over subsets and an interval over samples."""
    ours, real = sets.samples.all(), _given(sets.reference).all()
    mean, spread = distances.kernel_distance(ours, real, asked.subsets, asked.subset_size, SEED)
    found: dict[str, Any] = {"value": 1000 * mean, "spread": 1000 * spread}
    if sets.resamples:
        drawn = spread / asked.subsets**0.5
        low, high = uncertainty.kernel_interval(ours, real, mean, drawn, sets.resamples, SEED)
        found["interval"] = (1000 * low, 1000 * high)
    return {"kid": found}


def inception_score(asked: Measurement, sets: Sets) -> Found:
    """Salimans et al. (2016), also as a share of the score that as many real images have; the judge's by its name."""
    name, extractor = "judge_score" if asked.extractor == JUDGE else "is", sets.samples.extractor
    if not extractor.has_logits:
        missing = {"value": None, "why": extractor.why_no_logits}
        return {name: missing, f"{name}_share": missing}
    mean, spread = distances.inception_score(sets.samples.all("logits"), asked.splits, SEED)
    found: Found = {name: {"value": mean, "spread": spread}}
    if sets.reference is not None:
        real, _ = distances.inception_score(sets.reference.all("logits"), asked.splits, SEED)
        found[f"{name}_share"] = {"value": mean / real, "spread": spread / real}
    return found


def judge_share(asked: Measurement, sets: Sets) -> Found:
    """The share of images that the judge gives to the wanted class; nothing where no class was asked for."""
    if sets.labels is None:
        return {}
    right = sets.samples.all("logits").argmax(1) == sets.labels
    present = np.unique(sets.labels)
    each = np.array([right[sets.labels == label].mean() for label in present])
    found = {"value": float(right.mean()), "per_class": by_class(each, tuple(sets.label_names[i] for i in present))}
    if sets.resamples:
        found["interval"] = uncertainty.bootstrap_interval(right.astype(np.float64), sets.resamples, SEED)
    return {"judge_share": found}


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
    usual, _ = manifold.nearest_neighbours(_given(sets.test).all(), reference)
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


OVER_SAMPLES = "bootstrap over the samples"
MEASURES |= {
    "fid": Kind(fid, interval=OVER_SAMPLES),
    "fid_infinity": Kind(fid_infinity),
    "class_fid": Kind(class_fid),
    "kid": Kind(kid, interval=f"{OVER_SAMPLES} and the draw of subsets"),
    "is": Kind(inception_score, against="as many"),
    "precision_recall": Kind(precision_recall),
    "density_coverage": Kind(density_coverage),
    "memorised": Kind(memorised, test=True),
    "judge_share": Kind(judge_share, against="none", extractor=JUDGE),
}
OWN = tuple(MEASURES)


def register_metric(
    kind: str, metrics: dict[str, Metric], measure: Callable[[Measurement, Sets], Found],
    against: Literal["split", "as many", "none"] = "split",
) -> None:  # fmt: skip
    """Let protocols' names begin with `kind`, letters and underscores.

    ``measure(asked, sets)`` gives the figures' fields by metric, e.g. ``{"spectrum": {"value": 0.1}}``; `metrics` says
    what each is called, its unit and which way is better. The content of the file it is written in is in the name of
    its protocol.

    Raises
    ------
    RequestError
        If a name is taken or none that a protocol can say.
    """
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*", kind) or kind in OWN:
        raise RequestError(f"register_metric: found {kind!r}, allowed: a name like my_metric, not yet taken")
    for name, metric in metrics.items():
        if METRICS.get(name, metric) != metric:
            raise RequestError(f"register_metric: the metric {name!r} is {METRICS[name].title}; allowed: another name")
    METRICS.update(metrics)
    MEASURES[kind] = Kind(measure, against, code=file_sha1(Path(inspect.getfile(measure)))[:12])
