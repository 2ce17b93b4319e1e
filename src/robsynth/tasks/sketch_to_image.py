"""From a sketch to an image (Santurkar et al., 2019, section 3.5)."""

import numpy as np
import torch
from torch import Tensor

from robsynth.ascent import towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import SketchToImage
from robsynth.tasks.problem import Batch, Problem, register_task


def thin(images: Tensor, threshold: float) -> Tensor:
    """The strokes of (N, C, H, W) thinned to lines one pixel wide, 0 or 1; a stroke is what exceeds `threshold`."""
    from skimage.morphology import skeletonize

    strokes = images.mean(1).cpu().numpy() > threshold
    lines = torch.from_numpy(np.stack([skeletonize(stroke) for stroke in strokes]))
    return lines[:, None].expand(images.shape).to(images)


def edges(images: Tensor, deviation: float = 1.0) -> Tensor:
    """The edges of (N, C, H, W), black lines one pixel wide on white, by Canny's method."""
    from skimage.feature import canny

    grey = images.mean(1).cpu().numpy()
    lines = torch.from_numpy(np.stack([canny(image, sigma=deviation) for image in grey]))
    return 1 - lines[:, None].expand(images.shape).to(images)


def sketch_to_image(f: AnyClassifier, batch: Batch, s: SketchToImage) -> Problem:
    """min L(x, y) around the sketch, for the class y that it is a sketch of.

    The sketch is given, or made from a photo: its bright strokes, thinned, or its edges.
    """
    y = batch.wanted(batch.labels)

    def objective(x: Tensor) -> Tensor:
        return towards(f(x), y, s.objective)

    if s.lines == "given":
        return Problem(start=batch.images, objective=objective, wanted=y)
    sketch = thin(batch.images, s.threshold) if s.lines == "strokes" else edges(batch.images)
    return Problem(start=sketch, objective=objective, wanted=y, original=batch.images)


register_task("sketch_to_image", SketchToImage, sketch_to_image)
