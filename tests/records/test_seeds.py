"""A figure over several seeds."""

import math

import pytest

from robsynth.errors import RequestError
from robsynth.records.figures import seeds_interval


def test_the_interval_over_seeds_is_students():
    mean, spread, (low, high) = seeds_interval([1.0, 2.0, 3.0])
    # 4.3027 is Student's 97.5 % quantile for two degrees of freedom.
    assert (mean, spread) == pytest.approx((2, 1))
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), rel=1e-4)
    with pytest.raises(RequestError, match="seeds: found 1 figures, allowed: at least 2"):
        seeds_interval([1.0])


def test_figures_of_which_one_is_infinite_have_no_interval():
    mean, spread, (low, high) = seeds_interval([20.0, math.inf])
    assert mean == math.inf
    assert all(math.isnan(value) for value in (spread, low, high))
