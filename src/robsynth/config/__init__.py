"""The schema of every configuration: types, ranges and what contradicts what.

Hydra composes the YAML files of `conf/` into these dataclasses, so a misspelt key or a wrong type is an
error that names it; `check` refuses values out of range before any work.
"""

from robsynth.config.commands import (
    USES,
    Common,
    Config,
    ConvertConfig,
    DoctorConfig,
    EvaluateConfig,
    ReportConfig,
    RunsConfig,
    StatisticsConfig,
)
from robsynth.config.devices import Trainer
from robsynth.config.fields import check, choice, number
from robsynth.config.measuring import ATTACK, Curves, Metrics, Samples, Tracker
from robsynth.config.networks import ARCHITECTURES, FOREIGN, Dataset, Network
from robsynth.config.sweeps import Launcher, Pruning, Sweep, SweepConfig
from robsynth.config.tasks import (
    TASKS,
    ClassTask,
    FeaturePainting,
    Generation,
    Inpainting,
    SketchToImage,
    Stage,
    SuperResolution,
    Task,
    Translation,
)
from robsynth.config.training import Adversary, Augmentation, Baseline, Judge, Recipe

__all__ = [
    "ARCHITECTURES",
    "ATTACK",
    "FOREIGN",
    "TASKS",
    "USES",
    "Adversary",
    "Augmentation",
    "Baseline",
    "ClassTask",
    "Common",
    "Config",
    "ConvertConfig",
    "Curves",
    "Dataset",
    "DoctorConfig",
    "EvaluateConfig",
    "FeaturePainting",
    "Generation",
    "Inpainting",
    "Judge",
    "Launcher",
    "Metrics",
    "Network",
    "Pruning",
    "Recipe",
    "ReportConfig",
    "RunsConfig",
    "Samples",
    "SketchToImage",
    "Stage",
    "StatisticsConfig",
    "SuperResolution",
    "Sweep",
    "SweepConfig",
    "Task",
    "Tracker",
    "Trainer",
    "Translation",
    "check",
    "choice",
    "number",
]  # fmt: skip
