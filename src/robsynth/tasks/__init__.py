"""The paper's six tasks, each a file that reads like its formula, and the loop that runs any of them."""

from collections.abc import Callable
from typing import Any

from robsynth.tasks.feature_painting import feature_painting
from robsynth.tasks.generation import generation
from robsynth.tasks.inpainting import inpainting
from robsynth.tasks.problem import Batch, Problem
from robsynth.tasks.seeds import ClassGaussians, block_upsample
from robsynth.tasks.sketch_to_image import sketch_to_image
from robsynth.tasks.super_resolution import super_resolution
from robsynth.tasks.translation import translation

# A task takes the classifier, a batch and its own settings; the settings' type differs from task to task.
POSE: dict[str, Callable[[Any, Batch, Any], Problem]] = {
    "generation": generation,
    "inpainting": inpainting,
    "translation": translation,
    "super_resolution": super_resolution,
    "sketch_to_image": sketch_to_image,
    "feature_painting": feature_painting,
}

__all__ = ["POSE", "Batch", "ClassGaussians", "Problem", "block_upsample"]
