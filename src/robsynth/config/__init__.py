"""The schema of every configuration: types, ranges, help texts and what contradicts what.

Hydra composes the YAML files of `conf/` into these dataclasses, so a misspelt key or a wrong type is an
error that names it; `check` refuses values out of range before any work.
"""

from robsynth.config.commands import (
    COMMANDS,
    Common,
    Config,
    ConvertConfig,
    DoctorConfig,
    EvaluateConfig,
    ReportConfig,
    RunsConfig,
    StatisticsConfig,
    SweepConfig,
)
from robsynth.config.devices import Trainer
from robsynth.config.fields import check, choice, number, setting
from robsynth.config.measuring import ATTACK, Curves, Metrics, SampleSettings, TrackerSettings
from robsynth.config.networks import Dataset, Network
from robsynth.config.registry import ARCHITECTURES, FOREIGN, NORMS, OBJECTIVES, TASKS
from robsynth.config.sweeps import Launcher, Pruning, Sweep
from robsynth.config.tasks import (
    ClassTask,
    FeaturePainting,
    Generation,
    Inpainting,
    SketchToImage,
    Stage,
    SuperResolution,
    TaskSettings,
    Translation,
)
from robsynth.config.training import Adversary, Augmentation, Baseline, Judge, Recipe

__all__ = [
    "ARCHITECTURES", "ATTACK", "COMMANDS", "FOREIGN", "NORMS", "OBJECTIVES", "TASKS", "Adversary", "Augmentation",
    "Baseline", "ClassTask", "Common", "Config", "ConvertConfig", "Curves", "Dataset", "DoctorConfig",
    "EvaluateConfig", "FeaturePainting", "Generation", "Inpainting", "Judge", "Launcher", "Metrics", "Network",
    "Pruning", "Recipe", "ReportConfig", "RunsConfig", "SampleSettings", "SketchToImage", "Stage",
    "StatisticsConfig", "SuperResolution", "Sweep", "SweepConfig", "TaskSettings", "TrackerSettings", "Trainer",
    "Translation", "check", "choice", "number", "setting",
]  # fmt: skip
