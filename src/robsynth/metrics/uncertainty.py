"""How sure a figure is: intervals over images, and FID without the bias of few images."""

from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from robsynth.errors import RequestError
from robsynth.metrics.distances import Factored, Statistics, factored, kernel_distances

Interval = tuple[float, float]
ROWS = 5000


def bootstrap_interval(values: np.ndarray, resamples: int, seed: int, level: float = 0.95) -> Interval:
    """Percentile bootstrap of the mean of values (n,); (NaN, NaN) if one is infinite, such as the PSNR of a copy."""
    if not np.isfinite(values).all():
        return np.nan, np.nan
    random, n = np.random.default_rng(seed), len(values)
    means = [values[random.integers(n, size=n)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def frechet_interval(
    a: np.ndarray, reference: np.ndarray | Statistics | Factored, resamples: int, seed: int, level: float = 0.95
) -> Interval:
    """An interval for the FID that other samples, as many as `a`, would have against this reference.

    The images of `a` (n, D) are drawn anew, with replacement; the reference, features (m, D) or statistics, is kept.
    A resample holds copies, has less variety than the set and so a higher FID, which is why its percentiles are of
    no use: the interval is the FID plus and minus the normal quantile times the resamples' standard deviation,
    and not below 0. FID's own bias, of few images, stays in: see `frechet_infinity`. Where there are fewer images than
    dimensions the resamples vary more than sets of new images would, and the interval is too wide.
    """
    random, n = np.random.default_rng(seed), len(a)
    to_reference = _ToReference(a, reference)
    draws = (random.integers(n, size=n) for _ in range(resamples))
    found = [to_reference.distance(np.bincount(draw, minlength=n)) for draw in draws]
    value = to_reference.distance(np.ones(n))
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.std(found, ddof=1))
    return max(0.0, value - reach), value + reach


def kernel_interval(
    a: np.ndarray, b: np.ndarray, value: float, drawn: float, resamples: int, seed: int, level: float = 0.95
) -> Interval:
    """An interval for the KID `value` that other samples, as many as `a` (n, D), would have against `b` (m, D).

    KID is the mean over random subsets, so it varies with the samples, by the deviation of the distance of the whole
    sets, and with the draw of subsets, by `drawn`, their deviation over the root of their number: the squares add up.
    The first is found by bootstrap: the images of `a` are drawn anew, the reference is kept. The interval is the value
    plus and minus the normal quantile times the deviation of both. Where samples and reference are hardly told apart
    the bootstrap overstates the first, by up to a root of 3.
    """
    random, n = np.random.default_rng(seed), len(a)
    counts = np.stack([np.bincount(random.integers(n, size=n), minlength=n) for _ in range(resamples)])
    found = kernel_distances(a, b, counts)
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.hypot(np.std(found, ddof=1), drawn))
    return value - reach, value + reach


def frechet_infinity(
    a: np.ndarray, reference: np.ndarray | Statistics | Factored, points: int = 15, seed: int = 0
) -> tuple[float, float]:
    """FID of endlessly many samples (Chong & Forsyth, 2020), and the standard error of the fit.

    FID has a bias of about 1/N. It is measured on `points` random subsets of `a` (n, D), of sizes evenly spaced up to
    all n, and the line through the values against 1/N is followed to 0. The paper starts at n/10; here the smallest
    subset also has more images than dimensions, or n/2 where there are too few for that. With fewer images than
    dimensions the bias is not 1/N, and the value is no more than a guess. The error is the fit's alone: as the subsets
    overlap, the values of new sets of samples would vary about twice as much.

    Raises
    ------
    RequestError
        If there are fewer than 20 images.
    """
    (n, dimensions), random = a.shape, np.random.default_rng(seed)
    if n < 20:
        raise RequestError(f"fid_infinity: found {n} images, allowed: at least 20")
    to_reference = _ToReference(a, reference)
    sizes = np.linspace(max(n // 10, min(dimensions + 1, n // 2)), n, points).astype(int)
    subsets = [np.bincount(random.choice(n, size, replace=False), minlength=n) for size in sizes]
    values = [to_reference.distance(subset) for subset in subsets]
    (_, value), covariance = np.polyfit(1 / sizes, values, 1, cov=True)
    return float(value), float(covariance[1, 1] ** 0.5)


class _ToReference:
    """FID from weighted rows to one reference; what all weights share is computed once.

    With R'R the reference's covariance, the rows XR' stand for the images, and those of a resample are a choice of
    them: no covariance (D, D) is ever made of the few images, and only one product for all resamples. Rows are kept in
    float32 and summed in float64, a part at a time, so that 50,000 of them take no more than their features do.
    """

    def __init__(self, a: np.ndarray, reference: np.ndarray | Statistics | Factored) -> None:
        mean, factor = (torch.from_numpy(part) for part in factored(reference))
        self._images, self._mean = torch.from_numpy(a), mean
        self._squares = torch.cat([(rows.double() - mean).square().sum(1) for rows in self._images.split(ROWS)])
        self._projected = torch.cat([((rows.double() - mean) @ factor.T).float() for rows in self._images.split(ROWS)])
        self._reference_variance = factor.square().sum()

    def distance(self, counts: np.ndarray) -> float:
        """FID of the set that holds row i counts[i] times, (n,)."""
        weights = torch.from_numpy(counts).double()
        n = weights.sum()
        square = (_weighted_sum(self._images, weights) / n - self._mean).square().sum()
        variance = (weights @ self._squares - n * square) / (n - 1)
        return (square + variance + self._reference_variance - 2 * self._cross(weights)).item()

    def _cross(self, weights: Tensor) -> Tensor:
        """The trace of the root of the two covariances' product, from the smaller of two Gram matrices."""
        n, drawn = weights.sum(), weights > 0
        mean, size = _weighted_sum(self._projected, weights) / n, self._projected.shape[1]
        if drawn.sum() < size:
            rows = (self._projected[drawn].double() - mean) * (weights[drawn] / (n - 1)).sqrt()[:, None]
            gram = rows @ rows.T
        else:
            gram = torch.zeros(size, size, dtype=torch.float64)
            for rows, part in zip(self._projected.split(ROWS), weights.split(ROWS), strict=True):
                centred = (rows.double() - mean) * (part / (n - 1)).sqrt()[:, None]
                gram += centred.T @ centred
        return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum()


def _weighted_sum(rows: Tensor, weights: Tensor) -> Tensor:
    """Of rows (n, D) in float32, summed in float64: (D,)."""
    parts = zip(rows.split(ROWS), weights.split(ROWS), strict=True)
    return torch.stack([part @ some.double() for some, part in parts]).sum(0)
