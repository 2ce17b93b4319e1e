"""Reference statistics in a file: made once from a data set, then measured against without it.

The file is an .npz with `mu` (D,) and `sigma` (D, D), as in the widespread `pytorch-fid` layout, so statistics of
that kind made elsewhere can be used too; ours say in `about` what they were made of.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robsynth.errors import RequestError
from robsynth.files import file_sha1, read_npz, write_atomically
from robsynth.metrics.distances import Statistics
from robsynth.metrics.extractors import Extractor


@dataclass(frozen=True)
class Exported:
    """Statistics of a file; `about` is empty if they were made elsewhere."""

    path: Path
    statistics: Statistics
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """What protocols call the reference."""
        return str(self.about.get("name", f"{self.path.stem}_{file_sha1(self.path)[:8]}"))

    @cached_property
    def fingerprint(self) -> str:
        """The file's digest."""
        return file_sha1(self.path)[:16]

    def as_data(self) -> dict[str, Any]:
        """What a record says in place of a data set."""
        return {"name": self.name, "source": str(self.path), "fingerprint": self.fingerprint,
                "train": self.statistics.count, "test": 0, "label_names": []}  # fmt: skip

    def describe(self) -> str:
        if not self.about:
            return f"statistics of {self.path.name}, sha1 {file_sha1(self.path)}, made elsewhere"
        return str(self.about["reference"])

    def fitting(self, extractor: Extractor) -> Statistics:
        """The statistics, if this extractor made them or, made elsewhere, may have."""
        if self.about and self.about["extractor"] != extractor.digest:
            raise RequestError(
                f"statistics: {self.path} was made with {self.about['extractor_name']} {self.about['extractor']}, "
                f"found {extractor.name} {extractor.digest}"
            )
        if self.statistics.mean.shape != (extractor.dimensions,):
            raise RequestError(
                f"statistics: {self.path} has {self.statistics.mean.shape[0]} dimensions, "
                f"allowed: {extractor.dimensions}, as {extractor.name}"
            )
        return self.statistics


def save_statistics(path: Path, statistics: Statistics, about: dict[str, Any]) -> None:
    """Write statistics in float64, compressed; `about` needs `name`, `reference`, `extractor` and `extractor_name`."""
    arrays = {
        "mu": statistics.mean,
        "sigma": statistics.covariance,
        "count": np.array(statistics.count),
        "about": np.array(json.dumps(about)),
    }
    write_atomically(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def load_statistics(path: str | Path) -> Exported:
    """Statistics of `robsynth statistics`, or any .npz with `mu` and `sigma`."""
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"statistics: no file {path}")
    arrays = read_npz(path)
    mean, covariance = arrays.get("mu"), arrays.get("sigma")
    if mean is None or covariance is None or covariance.shape != (*mean.shape, *mean.shape):
        raise RequestError(f"statistics: {path} has no arrays mu (D,) and sigma (D, D)")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise RequestError(f"statistics: {path} holds NaN or infinite values")
    about = json.loads(str(arrays["about"])) if "about" in arrays else {}
    count = int(arrays["count"]) if "count" in arrays else 0
    return Exported(path, Statistics(count, mean.astype(np.float64), covariance.astype(np.float64)), about)
