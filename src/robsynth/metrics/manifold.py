"""What the nearest neighbours of features tell: quality and variety apart, and copies of training images."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from robsynth.errors import RequestError

CHUNK = 1000
# A squared distance below this share of the squared lengths is rounding: float32 features of equal images.
ROUNDING = 1e-10


def precision_recall_density_coverage(real: np.ndarray, generated: np.ndarray, k: int) -> dict[str, float]:
    """Four metrics of features (n, D) and (m, D), from the balls that reach to an image's k-th nearest neighbour.

    A ball is around an image, among the images of its own set, and its boundary belongs to it, so copies of one
    image lie in one another's balls.

    - precision: share of generated images in the ball of any real one (Kynkäänniemi et al., 2019, equation 2)
    - recall: share of real images in the ball of any generated one
    - density: real balls that a generated image lies in, on average, over k (Naeem et al., 2020, equation 3)
    - coverage: share of real images whose ball holds any generated one (equation 4)

    Memory is O((n + m) * 1000). A RequestError tells if a set has no k-th neighbour.
    """
    real_radii, generated_radii = _radii(real, k), _radii(generated, k)
    balls = torch.zeros(len(generated), dtype=torch.long)
    covered, recalled = [], []
    for first, distances in _distances(real, generated):
        holds = distances <= real_radii[first : first + CHUNK, None]
        balls += holds.sum(0)
        covered.append(holds.any(1))
        recalled.append((distances <= generated_radii).any(1))
    return {
        "precision": (balls > 0).double().mean().item(),
        "recall": torch.cat(recalled).double().mean().item(),
        "density": balls.double().mean().item() / k,
        "coverage": torch.cat(covered).double().mean().item(),
    }


def nearest_neighbours(queries: np.ndarray, reference: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances and indices, (n, k) each, nearest first, of the k reference rows next to each query."""
    _check_neighbours(k, len(reference))
    found = [rows.topk(k, largest=False) for _, rows in _distances(queries, reference)]
    distances, indices = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    return distances, indices


def memorised_share(generated: np.ndarray, test: np.ndarray, quantile: float = 0.01) -> float:
    """Share of generated images that are suspiciously near to a training image.

    Both are distances (n,), (m,) to the nearest training image; suspicious is nearer than this quantile of the
    test images, so a model that memorised nothing has about `quantile`.
    """
    return float((generated < np.quantile(test, quantile)).mean())


def _radii(features: np.ndarray, k: int) -> Tensor:
    """The distance of each row to its k-th neighbour, (n,)."""
    _check_neighbours(k, len(features) - 1)
    # Its own distance of 0 comes first.
    return torch.cat([rows.kthvalue(k + 1).values for _, rows in _distances(features, features)])


def _check_neighbours(k: int, allowed: int) -> None:
    if not 1 <= k <= allowed:
        raise RequestError(f"neighbours: found {k}, allowed: 1 to the {allowed} other images")


def _distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, Tensor]]:
    """Euclidean distances of 1000 rows of `a` at a time to all of `b`, and the first row's index.

    Computed in float64 and handed out in float32, so that a pair's distance does not depend on the matrix product
    that it came from, and ties are ties.
    """
    y = torch.from_numpy(b).double()
    y_lengths = y.square().sum(1)
    for first in range(0, len(a), CHUNK):
        x = torch.from_numpy(a[first : first + CHUNK]).double()
        lengths = x.square().sum(1)[:, None] + y_lengths
        squares = lengths - 2 * x @ y.T
        yield first, squares.where(squares > ROUNDING * lengths, 0).sqrt().float()
