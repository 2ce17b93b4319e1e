"""Images against their originals: each pair's figure, then the mean of all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from robsynth import __version__
from robsynth.errors import RequestError
from robsynth.metrics import pairs
from robsynth.metrics.cache import arrays_once
from robsynth.metrics.protocols import SEED
from robsynth.metrics.uncertainty import bootstrap_interval
from robsynth.records.figures import Figure, Protocol
from robsynth.samples import Samples

Each = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
DETAILS: dict[str, dict[str, str]] = {
    "psnr": {"equal images": "count as one grey level off in one channel of one pixel"},
    "ssim": {"window": "11x11 Gaussian, sigma 1.5, at every pixel, mirrored at the edges"},
    "lpips": {"network": "AlexNet, linear heads 0.1 (Zhang et al., 2018)"},
}


def compared(subject: str, samples: Samples, device: torch.device, resamples: int) -> list[Figure]:
    """PSNR, SSIM and LPIPS of samples that know their originals, and of the part that their masks let change.

    LPIPS is computed on `device`, the others in NumPy.
    """
    if "original" not in samples.has:
        return []
    measures, missing = _measures(min(samples.shape[:2]), device)
    masked = (False, True) if "mask" in samples.has else (False,)
    looked_at = samples.inspection
    content = [__version__, sorted(measures), device.type, len(masked), looked_at.digests, looked_at.about]
    each = arrays_once("pairs", content, lambda: _each(samples, measures, masked))
    figures = []
    for hole in masked:
        for metric in DETAILS:
            name = f"{metric}_masked" if hole else metric
            protocol = _protocol(metric, name, hole, len(samples), resamples)
            found = _mean(each[name], resamples) if metric in measures else {"value": None, "why": missing[metric]}
            figures.append(Figure(subject, name, protocol=protocol, count=len(samples), **found))
    return figures


def _measures(side: int, device: torch.device) -> tuple[dict[str, Each], dict[str, str]]:
    """What can be measured of images of this side, and why the rest cannot."""
    measures: dict[str, Each] = {"psnr": _psnr, "ssim": pairs.ssim_each}
    try:
        lpips = pairs.open_lpips(device)
    except RequestError as error:
        return measures, {"lpips": f"not available: {error}"}
    if side < lpips.smallest:
        return measures, {"lpips": f"not available: it needs {lpips.smallest} pixels a side, found {side}"}
    measures["lpips"] = lambda images, originals, mask: pairs.lpips_each(lpips, images, originals, mask)
    return measures, {}


def _psnr(images: np.ndarray, originals: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """PSNR, which is infinite for equal images, with a ceiling: the least difference that there is."""
    ceiling = 10 * np.log10(255**2 * images[0].size)
    return np.minimum(pairs.psnr_each(images, originals, mask), ceiling)


def _each(samples: Samples, measures: dict[str, Each], masked: tuple[bool, ...]) -> dict[str, np.ndarray]:
    """Every image's figures, (n,) under each name, in one reading of the samples."""
    rows: dict[str, list[np.ndarray]] = {}
    for chunk in samples.chunks():
        assert chunk.original is not None
        for metric, measure in measures.items():
            for hole in masked:
                name = f"{metric}_masked" if hole else metric
                rows.setdefault(name, []).append(measure(chunk.images, chunk.original, chunk.mask if hole else None))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _mean(each: np.ndarray, resamples: int) -> dict[str, Any]:
    if odd := int((~np.isfinite(each)).sum()):
        why = f"not available: {odd} of {len(each)} images have nothing to compare"
        return {"value": None, "why": why}
    interval = bootstrap_interval(each, resamples, SEED) if resamples else None
    return {"value": float(each.mean()), "interval": interval}


def _protocol(metric: str, name: str, hole: bool, count: int, resamples: int) -> Protocol:
    details: dict[str, Any] = {"against": "the original image", "images": count, "average": "of the images' figures"}
    details |= DETAILS[metric] | ({"where": "the pixels that may change"} if hole else {})
    if resamples:
        details["interval"] = f"95 %, bootstrap over the images, {resamples} resamples"
    return Protocol(f"{name}{count}", details)
