"""Distances between two sets of features, and the score of a set: tensors in, number out."""

import numpy as np
import torch


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """FID's formula on features (n, D) and (m, D): |mean difference|^2 + tr(A) + tr(B) - 2 tr sqrt(AB).

    A and B are sample covariances. With centred features X and Y as factors, A = X'X and B = Y'Y, the
    eigenvalues of AB are the squared singular values of XY', so the last trace is their sum. That is exact,
    also where a covariance is singular (fewer images than dimensions), and costs n*m instead of D*D.
    """
    x, y = (_centred_factor(part) for part in (a, b))
    offset = a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)
    if min(len(x), len(y)) > x.shape[1]:
        # More images than dimensions: the same singular values from the triangles of a QR decomposition.
        x, y = (np.asarray(np.linalg.qr(part, mode="r")) for part in (x, y))
    cross = torch.linalg.svdvals(torch.from_numpy(x @ y.T)).sum().item()
    return float(offset @ offset + np.square(x).sum() + np.square(y).sum() - 2 * cross)


def _centred_factor(features: np.ndarray) -> np.ndarray:
    features = features.astype(np.float64)
    return (features - features.mean(0)) / np.sqrt(len(features) - 1)


def kernel_distance(a: np.ndarray, b: np.ndarray, subsets: int, subset_size: int, seed: int) -> tuple[float, float]:
    """KID (Binkowski et al., 2018) by torch-fidelity: mean and standard deviation over random subsets."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    found = kid_features_to_metric(
        torch.from_numpy(a).double(), torch.from_numpy(b).double(),
        kid_subsets=subsets, kid_subset_size=subset_size, rng_seed=seed, verbose=False,
    )  # fmt: skip
    return found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]


def inception_score(logits: np.ndarray, splits: int, seed: int) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) (Salimans et al., 2016) by torch-fidelity: mean and deviation over splits."""
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    found = isc_features_to_metric(torch.from_numpy(logits), splits=splits, rng_seed=seed)
    return found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD]
