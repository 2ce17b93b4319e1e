"""Images against their originals: each pair's figure, then the mean of all."""

from collections.abc import Callable
from typing import Any

import numpy as np

from robsynth import __version__
from robsynth.errors import RequestError
from robsynth.metrics import pairs
from robsynth.metrics.cache import arrays_once
from robsynth.metrics.figures import Figure, Protocol
from robsynth.metrics.protocols import SEED
from robsynth.metrics.uncertainty import bootstrap_interval
from robsynth.samples import Inspection, Samples

Each = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
DETAILS = {
    "psnr": {},
    "ssim": {"window": "11x11 Gaussian, sigma 1.5, at every pixel, mirrored at the edges"},
    "lpips": {"network": "AlexNet, linear heads 0.1 (Zhang et al., 2018)"},
}


def compared(subject: str, samples: Samples, looked_at: Inspection, resamples: int) -> list[Figure]:
    """PSNR, SSIM and LPIPS of samples that know their originals, and of the part that their masks let change."""
    return [
        _figure(subject, metric, masked, samples, looked_at, resamples)
        for masked in (False, True)
        for metric in DETAILS
        if "original" in samples.has and (not masked or "mask" in samples.has)
    ]


def _figure(subject: str, metric: str, masked: bool, samples: Samples, looked_at: Inspection, resamples: int) -> Figure:
    count = len(samples)
    name = f"{metric}_masked" if masked else metric
    details: dict[str, Any] = {"against": "the original image", "images": count, "average": "of the images' figures"}
    details |= DETAILS[metric] | ({"where": "the pixels that may change"} if masked else {})
    if resamples:
        details["interval"] = f"95 %, bootstrap over the images, {resamples} resamples"
    protocol = Protocol(f"{name}{count}", details)
    try:
        measure = _measure(metric)
    except RequestError as error:
        return Figure(subject, name, None, protocol, count, why=f"not available: {error}")

    def work() -> dict[str, np.ndarray]:
        rows = [
            measure(chunk.images, chunk.original, chunk.mask if masked else None)
            for chunk in samples.chunks()
            if chunk.original is not None
        ]
        return {"each": np.concatenate(rows)}

    content = [__version__, name, details, looked_at.digests, looked_at.about]
    try:
        each = arrays_once("pairs", content, work)["each"]
    except pairs.TooSmall as error:
        return Figure(subject, name, None, protocol, count, why=f"not available: {error}")
    if not np.isfinite(each).all():
        odd = int((~np.isfinite(each)).sum())
        why = (
            f"not available: {odd} of {count} images equal their originals where they are compared, or are not compared"
        )
        return Figure(subject, name, None, protocol, count, why=why)
    interval = bootstrap_interval(each, resamples, SEED) if resamples else None
    return Figure(subject, name, float(each.mean()), protocol, count, interval=interval)


def _measure(metric: str) -> Each:
    if metric == "lpips":
        lpips = pairs.open_lpips()
        return lambda images, originals, mask: pairs.lpips_each(lpips, images, originals, mask)
    return pairs.psnr_each if metric == "psnr" else pairs.ssim_each
