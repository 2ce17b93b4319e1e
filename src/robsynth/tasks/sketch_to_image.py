"""From a sketch to an image (Santurkar et al., 2019, section 3.5)."""

import numpy as np
import torch
from torch import Tensor

from robsynth.ascent import towards
from robsynth.classifiers import Classifier
from robsynth.config import SketchToImage
from robsynth.tasks.problem import Batch, Problem


def thin(images: Tensor, threshold: float) -> Tensor:
    """The strokes of (N, C, H, W) thinned to lines one pixel wide, 0 or 1; a stroke is what exceeds `threshold`."""
    from skimage.morphology import skeletonize

    strokes = images.mean(1).cpu().numpy() > threshold
    lines = torch.from_numpy(np.stack([skeletonize(stroke) for stroke in strokes]))
    return lines[:, None].expand(images.shape).to(images)


def sketch_to_image(f: Classifier, batch: Batch, s: SketchToImage) -> Problem:
    """min L(x, y) around the sketch, for the class y that it is a sketch of."""
    y = batch.wanted(batch.labels)

    def objective(x: Tensor) -> Tensor:
        return towards(f(x), y, s.objective)

    return Problem(start=thin(batch.images, s.threshold), objective=objective, wanted=y, original=batch.images)
