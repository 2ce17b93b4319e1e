"""The paper's six tasks, each a file that reads like its formula, and the loop that runs any of them."""

from robsynth.tasks import (
    feature_painting,
    generation,
    inpainting,
    sketch_to_image,
    super_resolution,
    translation,
)
from robsynth.tasks.bundle import save_bundle
from robsynth.tasks.problem import POSE, Batch, Problem, register_task
from robsynth.tasks.seeds import ClassGaussians, LowRankGaussians, Seeds, block_upsample
from robsynth.tasks.synthesis import Synthesis

__all__ = [
    "POSE", "Batch", "ClassGaussians", "LowRankGaussians", "Problem", "Seeds", "Synthesis", "block_upsample",
    "feature_painting", "generation", "inpainting", "register_task", "save_bundle", "sketch_to_image",
    "super_resolution", "translation",
]  # fmt: skip
