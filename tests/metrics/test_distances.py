"""Distances between sets of features against closed forms and against the libraries that define them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from robsynth.errors import RequestError
from robsynth.metrics import distances, manifold
from robsynth.metrics.distances import Statistics


def gaussian(mean, scale, count, seed, dimensions=6):
    return np.random.default_rng(seed).normal(mean, scale, (count, dimensions)).astype(np.float32)


def test_fid_of_a_set_with_itself_is_nothing():
    a = gaussian(0, 1, 50, 0)
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_fid_of_a_shifted_set_is_the_square_of_the_shift():
    a = gaussian(0, 1, 200, 0).astype(np.float64)
    shift = np.arange(6)
    assert distances.frechet_distance(a, a + shift) == pytest.approx((shift**2).sum())


def test_fid_of_a_scaled_set_is_the_closed_form():
    a = gaussian(0, 1, 200, 0).astype(np.float64)
    a -= a.mean(0)
    variances = np.square(a).sum() / 199
    assert distances.frechet_distance(a, 3 * a) == pytest.approx(variances * (3 - 1) ** 2)


@given(n=st.integers(3, 30), m=st.integers(3, 30), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_fid_is_symmetric_and_not_negative(n, m, seed):
    a, b = gaussian(0, 1, n, seed), gaussian(0.5, 2, m, seed + 100)
    there, back = distances.frechet_distance(a, b), distances.frechet_distance(b, a)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
    assert there >= -1e-9


@pytest.mark.parametrize(("n", "m", "dimensions"), [(300, 400, 6), (300, 20, 6), (300, 20, 40), (15, 20, 40)])
def test_fid_is_torch_fidelitys_from_features_and_from_statistics(n, m, dimensions):
    a, b = gaussian(0, 1, n, 0, dimensions), gaussian(0.3, 1.5, m, 1, dimensions)
    statistics = [fid_features_to_statistics(torch.from_numpy(part).double()) for part in (a, b)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distances.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    ours = distances.frechet_from_statistics(Statistics.of([a]), Statistics.of([b]))
    assert ours == pytest.approx(expected, rel=1e-6)


@given(cuts=st.lists(st.integers(0, 60), max_size=5), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_statistics_are_numpys_however_the_rows_are_cut(cuts, seed):
    # Far from 0, where sums of squares lose the digits of the covariance.
    rows = gaussian(1000, 0.01, 60, seed).astype(np.float64)
    found, whole = Statistics.of(np.split(rows, sorted(cuts))), Statistics.of([rows])
    np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(rows, rowvar=False), rtol=1e-10, atol=1e-10 * 0.01**2)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=0, atol=1e-12 * 0.01**2 * 60)
    assert found.count == 60


def test_statistics_do_not_change_the_chunks_they_are_made_of():
    rows = gaussian(3, 1, 20, 0).astype(np.float64)
    kept = rows.copy()
    Statistics.of([rows])
    assert np.array_equal(rows, kept)


def test_one_image_has_no_statistics():
    with pytest.raises(RequestError, match="found 1 images, allowed: at least 2"):
        Statistics.of([gaussian(0, 1, 1, 0)])


def test_fid_within_classes_is_the_fid_of_each_class_and_nan_where_there_are_too_few():
    a, b = gaussian(0, 1, 61, 0), gaussian(0.5, 1, 80, 1)
    labels_a, labels_b = np.append(np.arange(60) % 2, 2), np.arange(80) % 4
    found = distances.class_frechet_distances(a, labels_a, b, labels_b, 4)
    assert found[1] == distances.frechet_distance(a[labels_a == 1], b[labels_b == 1])
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2:]).all()


def test_kid_of_equal_distributions_is_about_nothing_and_does_not_touch_the_global_generator():
    state = torch.random.get_rng_state()
    mean, spread = distances.kernel_distance(gaussian(0, 1, 200, 0), gaussian(0, 1, 200, 1), 20, 50, seed=0)
    assert abs(mean) < 3 * spread
    far, _ = distances.kernel_distance(gaussian(0, 1, 200, 0), gaussian(2, 1, 200, 1), 20, 50, seed=0)
    assert far > 10 * abs(mean)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_score_of_sure_and_varied_answers_is_the_number_of_classes():
    sure = np.eye(4, dtype=np.float32).repeat(25, 0) * 100
    assert distances.inception_score(sure, 1, 0)[0] == pytest.approx(4)
    assert distances.inception_score(np.zeros((100, 4), np.float32), 1, 0)[0] == pytest.approx(1)


def by_the_papers_formulas(real, generated, k):
    """All pairs at once and no matrix product."""

    def pairs(a, b):
        return np.linalg.norm(a[:, None].astype(np.float64) - b, axis=2)

    within, across = pairs(real, real), pairs(real, generated)
    real_radii = np.sort(within, 1)[:, k]
    generated_radii = np.sort(pairs(generated, generated), 1)[:, k]
    holds = across <= real_radii[:, None]
    return {
        "precision": holds.any(0).mean(),
        "recall": (across <= generated_radii).any(1).mean(),
        "density": holds.sum() / (k * len(generated)),
        "coverage": holds.any(1).mean(),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_and_coverage_are_the_papers_formulas(k, monkeypatch):
    real, generated = gaussian(0, 1, 90, 0), gaussian(0.7, 0.8, 70, 1)
    expected = by_the_papers_formulas(real, generated, k)
    assert all(0 < value < 1.5 for value in expected.values())
    assert manifold.precision_recall_density_coverage(real, generated, k) == pytest.approx(expected)
    monkeypatch.setattr(manifold, "CHUNK", 7)
    assert manifold.precision_recall_density_coverage(real, generated, k) == pytest.approx(expected)


def test_precision_and_recall_are_torch_fidelitys():
    real, generated = gaussian(0, 1, 200, 0), gaussian(0.5, 1.2, 150, 1)
    theirs = prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real),
        prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False,
    )  # fmt: skip
    ours = manifold.precision_recall_density_coverage(real, generated, 3)
    assert (ours["precision"], ours["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]))


@pytest.mark.parametrize("offset", [0, 500])
def test_a_set_beside_itself_has_all_that_there_is_and_its_ties_count(offset):
    a = gaussian(offset, 1, 60, 0, dimensions=200)
    found = manifold.precision_recall_density_coverage(a, a.copy(), 4)
    # Each ball holds its own centre and four neighbours, the farthest on the boundary.
    assert found == pytest.approx({"precision": 1, "recall": 1, "density": 5 / 4, "coverage": 1})


def test_copies_have_balls_without_extent_and_lie_in_them():
    one = gaussian(3, 1, 1, 0, dimensions=50)
    found = manifold.precision_recall_density_coverage(one.repeat(10, 0), one.repeat(6, 0), 3)
    assert found == pytest.approx({"precision": 1, "recall": 1, "density": 10 / 3, "coverage": 1})
    apart = manifold.precision_recall_density_coverage(one.repeat(10, 0), one.repeat(6, 0) + 1, 3)
    assert set(apart.values()) == {0}


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(RequestError, match="neighbours: found 5, allowed: 1 to the 4 other images"):
        manifold.precision_recall_density_coverage(gaussian(0, 1, 9, 0), gaussian(0, 1, 5, 0), 5)


@given(n=st.integers(1, 20), m=st.integers(3, 20), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_nearest_neighbours_are_those_of_all_pairs_sorted(n, m, seed):
    queries, reference = gaussian(0, 1, n, seed), gaussian(0, 1, m, seed + 100)
    pairs = np.linalg.norm(queries[:, None].astype(np.float64) - reference, axis=2)
    found, indices = manifold.nearest_neighbours(queries, reference, 3)
    np.testing.assert_array_equal(indices, pairs.argsort(1)[:, :3])
    np.testing.assert_allclose(found, np.sort(pairs, 1)[:, :3], rtol=1e-6)


def test_the_nearest_neighbour_of_a_copy_is_at_no_distance():
    reference = gaussian(500, 1, 40, 0, dimensions=200)
    found, indices = manifold.nearest_neighbours(reference[[7, 3]], reference)
    assert found.tolist() == [[0], [0]]
    assert indices.tolist() == [[7], [3]]


def test_copies_are_memorised_and_new_images_as_often_as_held_out_ones():
    training, held_out = gaussian(0, 1, 500, 0), gaussian(0, 1, 1000, 1)
    usual, _ = manifold.nearest_neighbours(held_out, training)
    copies, _ = manifold.nearest_neighbours(training[:50], training)
    new, _ = manifold.nearest_neighbours(gaussian(0, 1, 1000, 2), training)
    assert manifold.memorised_share(copies, usual) == 1
    assert manifold.memorised_share(new, usual, quantile=0.1) == pytest.approx(0.1, abs=0.04)
    assert manifold.memorised_share(usual, usual) == pytest.approx(0.01)
