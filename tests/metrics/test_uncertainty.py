"""Intervals cover what they say they cover, and the bias of few images goes away."""

import numpy as np
import pytest

from robsynth.errors import RequestError
from robsynth.metrics import distances
from robsynth.metrics.distances import Statistics, frechet_distance, frechet_from_statistics, kernel_distances
from robsynth.metrics.uncertainty import (
    _ToReference,
    bootstrap_interval,
    frechet_infinity,
    frechet_interval,
    kernel_interval,
)

SCALES = np.linspace(2, 0.5, 20)
REFERENCE = Statistics(10**6, np.zeros(20), np.diag(SCALES**2))
TRUTH = frechet_from_statistics(Statistics(10**6, np.full(20, 0.5), np.diag((1.3 * SCALES) ** 2)), REFERENCE)


def samples(count, seed):
    """Features whose FID to REFERENCE would be TRUTH if they were endlessly many."""
    return np.random.default_rng(seed).normal(size=(count, 20)) * 1.3 * SCALES + 0.5


def share(hits):
    return float(np.mean(list(hits)))


def test_the_bootstrap_covers_the_mean_as_often_as_it_says():
    def hit(seed):
        low, high = bootstrap_interval(np.random.default_rng(seed).exponential(size=80), 200, seed, level=0.9)
        return low <= 1 <= high

    assert share(hit(seed) for seed in range(200)) == pytest.approx(0.9, abs=0.06)


def test_an_interval_depends_on_its_seed_alone():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(values, 100, 1) == bootstrap_interval(values, 100, 1)
    assert bootstrap_interval(values, 100, 1) != bootstrap_interval(values, 100, 2)
    assert frechet_interval(samples(50, 0), REFERENCE, 10, 1) == frechet_interval(samples(50, 0), REFERENCE, 10, 1)


def test_a_mean_that_is_infinite_has_no_interval():
    assert np.isnan(bootstrap_interval(np.array([20.0, np.inf, 30.0]), 100, 0)).all()


@pytest.mark.parametrize("n", [12, 15, 60, 300])
def test_a_resamples_fid_is_the_fid_of_the_rows_it_holds(n):
    """On either side of as many images as dimensions, and for both kinds of reference."""
    a, reference = samples(n, 0), np.random.default_rng(1).normal(size=(100, 20)) * SCALES
    drawn = np.random.default_rng(2).integers(n, size=n)
    expected = frechet_distance(a[drawn], reference)
    for given in (reference, Statistics.of([reference])):
        found = _ToReference(a, given).distance(np.bincount(drawn, minlength=n))
        assert found == pytest.approx(expected, rel=1e-6)


def test_the_interval_of_fid_covers_the_fid_of_as_many_images_as_often_as_it_says():
    def small(count, seed):
        return samples(count, seed)[:, :3]

    reference = Statistics(10**6, np.zeros(3), np.diag(SCALES[:3] ** 2))
    expected = np.mean([frechet_from_statistics(Statistics.of([small(150, s)]), reference) for s in range(500, 900)])

    def hit(seed):
        low, high = frechet_interval(small(150, seed), reference, 60, seed)
        return low <= expected <= high

    assert share(hit(seed) for seed in range(120)) == pytest.approx(0.95, abs=0.05)


def test_the_interval_is_around_the_fid_and_not_around_that_of_sets_with_copies():
    a = samples(200, 0)
    value = frechet_from_statistics(Statistics.of([a]), REFERENCE)
    low, high = frechet_interval(a, REFERENCE, 50, 0)
    assert (low + high) / 2 == pytest.approx(value)
    narrow_low, narrow_high = frechet_interval(a, REFERENCE, 50, 0, level=0.5)
    assert low < narrow_low < narrow_high < high


def test_no_interval_of_fid_goes_below_nothing():
    a = np.random.default_rng(0).normal(size=(30, 2))
    assert frechet_interval(a, a, 20, 0)[0] == 0


def test_extrapolation_takes_away_most_of_the_bias_of_few_images():
    sets = [samples(200, seed) for seed in range(20)]
    bias = np.mean([frechet_from_statistics(Statistics.of([a]), REFERENCE) for a in sets]) - TRUTH
    found = [frechet_infinity(a, REFERENCE, seed=seed) for seed, a in enumerate(sets)]
    left = np.mean([value for value, _ in found]) - TRUTH
    assert abs(left) < bias / 3
    assert all(0 < error < TRUTH for _, error in found)


def test_extrapolation_depends_on_its_seed_alone_and_needs_some_images():
    a = samples(60, 0)
    assert frechet_infinity(a, REFERENCE, seed=1) == frechet_infinity(a, REFERENCE, seed=1)
    assert frechet_infinity(a, REFERENCE, seed=1) != frechet_infinity(a, REFERENCE, seed=2)
    with pytest.raises(RequestError, match="fid_infinity: found 19 images, allowed: at least 20"):
        frechet_infinity(a[:19], REFERENCE)


def kernel(x, y):
    return (x @ y / len(x) + 1) ** 3


def by_loops(a, b, counts):
    """The unbiased estimate from its definition, copies of an image no pair, but for b's own term."""
    pairs = [(kernel(a[i], a[j]), counts[i] * counts[j]) for i in range(len(a)) for j in range(len(a)) if i != j]
    across = [(np.mean([kernel(x, y) for y in b]), count) for x, count in zip(a, counts, strict=True)]
    (within, weights), (other, others) = (map(np.array, zip(*part, strict=True)) for part in (pairs, across))
    return within @ weights / weights.sum() - 2 * (other @ others) / others.sum()


@pytest.mark.parametrize("held", [2**24, 20])
def test_kernel_distances_of_resamples_are_those_of_loops_over_pairs(held, monkeypatch):
    """Whatever the number of rows that are held at once."""
    monkeypatch.setattr(distances, "KERNEL_VALUES", held)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(9, 5)).astype(np.float32), random.normal(0.4, 1, size=(7, 5)).astype(np.float32)
    counts = np.stack([np.ones(9, int), *(np.bincount(random.integers(9, size=9), minlength=9) for _ in range(3))])
    expected = [by_loops(a, b, row) for row in counts]
    assert kernel_distances(a, b, counts) == pytest.approx(expected, rel=1e-5)


def test_the_kid_of_subsets_is_on_average_the_distance_of_the_whole_sets():
    a, b = samples(60, 0).astype(np.float32), samples(80, 1).astype(np.float32) * 1.2
    off = ~np.eye(80, dtype=bool)
    own = ((b.astype(np.float64) @ b.T / 20 + 1) ** 3)[off].mean()
    whole = kernel_distances(a, b, np.ones((1, 60), int))[0] + own
    mean, spread = distances.kernel_distance(a, b, 400, 20, 0)
    assert abs(mean - whole) < 3 * spread / 400**0.5


def test_the_interval_of_kid_covers_the_kid_of_other_samples_as_often_as_it_says():
    """The error that stood here before, the deviation over subsets by the root of their number, does not."""
    reference = np.random.default_rng(9999).normal(size=(300, 3)).astype(np.float32)

    def found(seed):
        a = (np.random.default_rng(seed).normal(size=(100, 3)) * 1.3 + 0.5).astype(np.float32)
        mean, spread = distances.kernel_distance(a, reference, 30, 50, seed)
        return a, mean, spread / 30**0.5

    truth = np.mean([found(seed)[1] for seed in range(500, 900)])
    before, after = [], []
    for seed in range(150):
        a, mean, drawn = found(seed)
        low, high = kernel_interval(a, reference, mean, drawn, 60, seed)
        after.append(low <= truth <= high)
        before.append(abs(mean - truth) <= 1.96 * drawn)
    assert share(after) == pytest.approx(0.95, abs=0.05)
    assert share(before) < 0.8
