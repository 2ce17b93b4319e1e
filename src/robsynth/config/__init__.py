"""The schema of every configuration: types, ranges, help texts and what contradicts what.

Hydra composes the YAML files of `conf/` into these dataclasses, so a misspelt key or a wrong type is an
error that names it; `check` refuses values out of range before any work.
"""

from robsynth.config.fields import check, choice, number, setting
from robsynth.config.measuring import ATTACK, Metrics, TrackerSettings
from robsynth.config.networks import Dataset, Network
from robsynth.config.registry import ARCHITECTURES, FOREIGN, NORMS, OBJECTIVES
from robsynth.config.sweeps import Launcher, Pruning, Sweep
from robsynth.config.tasks import (
    TASKS,
    ClassTask,
    FeaturePainting,
    Generation,
    Inpainting,
    PaintingStage,
    SketchToImage,
    SuperResolution,
    TaskSettings,
)
from robsynth.config.training import Adversary, Augmentation, Baseline, Recipe
