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
    """One measured number: of what, which metric, under which protocol; or why there is none."""

    subject: str
    metric: str
    value: float | None
    protocol: Protocol
    spread: float | None = None
    why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-like, with the protocol's name for the protocol."""
        found = {**asdict(self), "protocol": self.protocol.name}
        return {key: value for key, value in found.items() if value is not None or key == "value"}


@dataclass(frozen=True)
class Metric:
    """What a metric is called, what it is measured in, and which way is better."""

    title: str
    unit: str
    better: str
    digits: int


METRICS = {
    "fid": Metric("FID", "squared feature distance", "lower", 1),
    "kid": Metric("KID", "x 1000", "lower", 1),
    "is": Metric("Inception Score", "1 to 1008", "higher", 2),
    "judge_score": Metric("judge's score", "1 to the number of classes", "higher", 2),
    "judge_share": Metric("wanted class", "share of images", "higher", 3),
    "psnr": Metric("PSNR", "dB", "higher", 2),
    "ssim": Metric("SSIM", "-1 to 1", "higher", 3),
    "clean_accuracy": Metric("clean accuracy", "share of images", "higher", 4),
    "robust_accuracy": Metric("robust accuracy", "share of images", "higher", 4),
}
