"""A figure and the protocol it was measured under; neither goes anywhere without the other."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured. Figures may stand in one column only if their protocols have one name."""

    name: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One measured number: of what, which metric, under which protocol; or why there is none.

    `count` is the number of images; `spread` the standard deviation over splits or subsets, `error` a standard
    error, `interval` 95 % of confidence; `per_class` the same metric class by class; `at` the setting that this
    point of a curve stands for, e.g. {"steps": 20}.
    """

    subject: str
    metric: str
    value: float | None
    protocol: Protocol
    count: int | None = None
    spread: float | None = None
    error: float | None = None
    interval: tuple[float, float] | None = None
    per_class: dict[str, float] | None = None
    at: dict[str, float] | None = None
    why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-like, with the protocol's name for the protocol."""
        found = {**asdict(self), "protocol": self.protocol.name}
        if self.interval is not None:
            found["interval"] = list(self.interval)
        return {key: value for key, value in found.items() if value is not None or key == "value"}


@dataclass(frozen=True)
class Metric:
    """What a metric is called, what it is measured in, and which way is better."""

    title: str
    unit: str
    better: str
    digits: int


SHARE = "share of images"
METRICS = {
    "fid": Metric("FID", "squared feature distance", "lower", 1),
    "fid_infinity": Metric("FID, extrapolated", "squared feature distance", "lower", 1),
    "class_fid": Metric("FID within classes", "squared feature distance, mean over classes", "lower", 1),
    "kid": Metric("KID", "x 1000", "lower", 1),
    "is": Metric("Inception Score", "1 to the number of the extractor's classes", "higher", 2),
    "is_share": Metric("of the real data's score", "share", "higher", 3),
    "precision": Metric("precision", SHARE, "higher", 3),
    "recall": Metric("recall", SHARE, "higher", 3),
    "density": Metric("density", "1 for the real distribution", "higher", 3),
    "coverage": Metric("coverage", SHARE, "higher", 3),
    "judge_score": Metric("judge's score", "1 to the number of classes", "higher", 2),
    "judge_score_share": Metric("of the real data's judge's score", "share", "higher", 3),
    "judge_share": Metric("wanted class", SHARE, "higher", 3),
    "psnr": Metric("PSNR", "dB", "higher", 2),
    "ssim": Metric("SSIM", "-1 to 1", "higher", 3),
    "lpips": Metric("LPIPS", "perceptual distance", "lower", 3),
    "psnr_masked": Metric("PSNR in the hole", "dB", "higher", 2),
    "ssim_masked": Metric("SSIM in the hole", "-1 to 1", "higher", 3),
    "lpips_masked": Metric("LPIPS of the hole", "perceptual distance", "lower", 3),
    "copies": Metric("copies of training images", "images", "lower", 0),
    "memorised": Metric("nearer to a training image than 99 % of held-out images", SHARE, "lower", 3),
    "clean_accuracy": Metric("clean accuracy", SHARE, "higher", 4),
    "robust_accuracy": Metric("robust accuracy", SHARE, "higher", 4),
}
