"""Which images to show: the best, the worst, and what a generated image is nearest to."""

import numpy as np
import torch

from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.manifold import nearest_neighbours
from robsynth.metrics.pairs import psnr_each
from robsynth.samples import Samples


def merits(evaluation: Evaluation, samples: Samples) -> tuple[str, np.ndarray] | None:
    """A value for each image (n,), higher is better, and its name; None if nothing tells good from bad.

    PSNR where there are originals, otherwise the probability that the judge gives to the wanted class.
    """
    if "original" in samples.has:
        rows = [psnr_each(part.images, part.original) for part in samples.chunks() if part.original is not None]
        return "PSNR", np.concatenate(rows)
    if not evaluation.judged or samples.wanted is None:
        return None
    logits = evaluation.sets.features(evaluation.judged[0], samples).all("logits")
    probabilities = torch.from_numpy(logits).double().softmax(1).numpy()
    return "the judge's probability of the wanted class", probabilities[np.arange(len(logits)), samples.wanted]


def nearest_training_images(evaluation: Evaluation, samples: Samples, images: int) -> np.ndarray | None:
    """The nearest reference image of each of the first samples, uint8 (images, H, W, C), in the features of the FID."""
    asked = next((asked for asked in evaluation.asked if asked.kind == "fid"), None)
    if asked is None:
        return None
    ours = evaluation.sets.features(asked, samples)
    reference = evaluation.sets.references(asked, ours.count).get(asked.split)
    if reference is None:
        return None
    _, nearest = nearest_neighbours(ours.all()[:images], reference.all())
    return reference.source.pixels(nearest.ravel())
