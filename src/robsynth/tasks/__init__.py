"""The paper's six tasks, each a file that reads like its formula, and the loop that runs any of them."""

from robsynth.tasks.problem import Batch, Problem
from robsynth.tasks.seeds import ClassGaussians, LowRankGaussians, Seeds, block_upsample
from robsynth.tasks.synthesis import POSE, Synthesis

__all__ = [
    "POSE", "Batch", "ClassGaussians", "LowRankGaussians", "Problem", "Seeds", "Synthesis", "block_upsample",
]  # fmt: skip
