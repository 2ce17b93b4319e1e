"""Distances between two sets of features, and the score of a set: arrays in, number out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robsynth.errors import RequestError

# Of a kernel's matrix, how many values are held at once.
KERNEL_VALUES = 2**24


@dataclass(frozen=True)
class Statistics:
    """What FID needs of a set of features: its size, float64 mean (D,) and sample covariance (D, D)."""

    count: int
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, chunks: Iterable[np.ndarray]) -> "Statistics":
        """Statistics of rows that come in chunks (any, D), read once, without holding more than one.

        Raises
        ------
        RequestError
            If there are fewer than two rows, which have no covariance.
        """
        count, shift, total, products = 0, np.zeros(()), np.zeros(()), np.zeros(())
        for chunk in chunks:
            rows = chunk.astype(np.float64)
            if count == 0 and len(rows):
                # Sums around a point amid the data: sums around 0 lose the digits that a covariance is made of.
                shift = rows.mean(0)
            rows -= shift
            count += len(rows)
            total = total + rows.sum(0)
            products = products + rows.T @ rows
        if count < 2:
            raise RequestError(f"features: found {count} images, allowed: at least 2, as fewer have no covariance")
        mean = total / count
        return cls(count, shift + mean, (products - count * np.outer(mean, mean)) / (count - 1))


class Factored(NamedTuple):
    """Mean (D,) and a factor F of the covariance F'F, (r, D) with r <= D."""

    mean: np.ndarray
    factor: np.ndarray


def factored(part: "np.ndarray | Statistics | Factored") -> Factored:
    """The mean and factor of features (n, D) or of their statistics."""
    if isinstance(part, Factored):
        return part
    if isinstance(part, Statistics):
        values, vectors = np.linalg.eigh(part.covariance)
        return Factored(part.mean, np.sqrt(values.clip(min=0))[:, None] * vectors.T)
    features = part.astype(np.float64)
    mean = features.mean(0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    many = len(centred) > centred.shape[1]
    return Factored(mean, np.asarray(np.linalg.qr(centred, mode="r")) if many else centred)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """FID's formula on features (n, D) and (m, D): |mean difference|^2 + tr(A) + tr(B) - 2 tr sqrt(AB).

    A and B are sample covariances. With X'X = A and Y'Y = B the eigenvalues of AB are the squared singular values
    of XY', so the last trace is their sum. That is exact, also where a covariance is singular (fewer images than
    dimensions): there the centred features themselves are the factors, and it costs n*m instead of D*D.
    """
    (mean_a, x), (mean_b, y) = factored(a), factored(b)
    cross = torch.linalg.svdvals(torch.from_numpy(x @ y.T)).sum().item()
    return float(np.square(mean_a - mean_b).sum() + np.square(x).sum() + np.square(y).sum() - 2 * cross)


def frechet_from_statistics(a: Statistics, b: Statistics) -> float:
    """The same from means and covariances, by torch-fidelity.

    So a figure of ours is its figure: where a covariance is singular (fewer images than dimensions), rounding in the
    eigenvalues of AB moves FID by a few millionths of itself, and everybody's by the same.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    both = [{"mu": part.mean, "sigma": part.covariance} for part in (a, b)]
    return float(fid_statistics_to_metric(*both, verbose=False)[KEY_METRIC_FID])


def class_frechet_distances(
    a: np.ndarray, labels_a: np.ndarray, b: np.ndarray, labels_b: np.ndarray, classes: int
) -> np.ndarray:
    """FID between the images of each class, (classes,), from features (n, D), (m, D) and labels (n,), (m,).

    NaN for a class of which either side has fewer than two images.
    """
    each = np.full(classes, np.nan)
    for label in range(classes):
        ours, theirs = a[labels_a == label], b[labels_b == label]
        if min(len(ours), len(theirs)) >= 2:
            each[label] = frechet_distance(ours, theirs)
    return each


def kernel_distance(a: np.ndarray, b: np.ndarray, subsets: int, subset_size: int, seed: int) -> tuple[float, float]:
    """KID (Binkowski et al., 2018) by torch-fidelity: mean and standard deviation over random subsets."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    found = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b),
        kid_subsets=subsets, kid_subset_size=subset_size, rng_seed=seed, verbose=False,
    )  # fmt: skip
    return found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]


def kernel_distances(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """KID of whole sets against `b` (m, D), but for b's own term: (r,).

    Set r holds row i of `a` (n, D) counts[r, i] times. With k(x, y) = (x.y / D + 1)^3 the unbiased estimate (Binkowski
    et al., 2018, equation 4) is the mean of k over pairs of different images of the set, less twice its mean over pairs
    of an image of the set and one of `b`, plus its mean over pairs of different images of `b`; the last is the same for
    all sets, and left out. Copies of an image are no pair. With w for a set's counts the first two are

        sum_{i != j} w_i w_j k(a_i, a_j) / sum_{i != j} w_i w_j  -  2 sum_i w_i mean_j k(a_i, b_j) / sum_i w_i.

    The kernel is computed once for all sets, some rows at a time.
    """
    x, y, weights = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(counts).double()
    total = weights.sum(1)
    within, across = torch.zeros_like(total), torch.zeros_like(total)
    size = max(1, KERNEL_VALUES // max(len(a), len(b)))
    for first in range(0, len(a), size):
        rows, part = x[first : first + size], weights[:, first : first + size]
        kernel = _kernel(rows, x)
        kernel.diagonal(first).zero_()
        within += (part * (weights @ kernel.T)).sum(1)
        across += part @ _kernel(rows, y).mean(1)
    return np.asarray(within / (total.square() - weights.square().sum(1)) - 2 * across / total)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return ((x @ y.T).double() / x.shape[1] + 1) ** 3


def inception_score(logits: np.ndarray, splits: int, seed: int) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) (Salimans et al., 2016) by torch-fidelity: mean and deviation over splits."""
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    found = isc_features_to_metric(torch.from_numpy(logits), splits=splits, rng_seed=seed)
    return found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD]
