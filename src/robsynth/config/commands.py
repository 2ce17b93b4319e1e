"""The configuration of each command."""

from dataclasses import dataclass, field

from robsynth.config.devices import Trainer
from robsynth.config.fields import choice
from robsynth.config.measuring import Curves, Metrics, Samples, Tracker
from robsynth.config.networks import Dataset, Network
from robsynth.config.tasks import TASKS, Task
from robsynth.config.training import Adversary, Baseline, Judge, Recipe
from robsynth.errors import RequestError


@dataclass
class Common:
    """What every command with work to do understands."""

    out: str | None = None
    seed: int = 0
    force: bool = False
    debug: bool = False
    device: str = choice("auto", "cpu", "cuda", default="auto")
    precision: str = choice("auto", "fp32", "bf16", default="auto")
    trainer: Trainer = field(default_factory=Trainer)

    def __post_init__(self) -> None:
        # Two words for one thing.
        self.device = self.trainer.device(self.device)


@dataclass
class Config(Common):
    """`train`, `synthesize` and `reproduce`; `USES` says which command reads which part."""

    experiment: str = "???"
    scale: str = "???"
    dataset: Dataset = field(default_factory=Dataset)
    classifier: Network = field(default_factory=Network)
    adversary: Adversary = field(default_factory=Adversary)
    recipe: Recipe = field(default_factory=Recipe)
    judge: Judge = field(default_factory=Judge)
    baseline: Baseline = field(default_factory=Baseline)
    tasks: dict[str, Task] = field(default_factory=dict)
    # The tasks that this experiment runs.
    select: list[str] = field(default_factory=lambda: list(TASKS), metadata={"allowed": tuple(TASKS)})
    # Another data set whose test images the tasks start from.
    originals: Dataset = field(default_factory=Dataset)
    # A folder of one's own images for the tasks to start from, and one of masks with the same names.
    inputs: str | None = None
    masks: str | None = None
    # Further classifiers, whose logits are averaged with the classifier's while an image moves.
    ensemble: list[str] = field(default_factory=list, metadata={"empty": True})
    task: str = choice(*TASKS, default="generation")
    samples: Samples = field(default_factory=Samples)
    metrics: Metrics = field(default_factory=Metrics)
    curves: Curves = field(default_factory=Curves)
    tracker: Tracker = field(default_factory=Tracker)
    model: str = choice("classifier", "baseline", default="classifier")

    def check(self, prefix: str) -> None:
        """Refuse parts of a batch where whole ones are replayed: a part would come twice in one step."""
        if self.adversary.method == "free" and self.recipe.accumulate > 1:
            raise RequestError(
                f"{prefix}recipe.accumulate: found {self.recipe.accumulate}, allowed: 1, as free replays whole batches"
            )


@dataclass
class EvaluateConfig(Common):
    """Samples against a data set, or against exported `statistics` of one; or a classifier on its test images.

    A classifier is attacked in balls of `norm` and `metrics.attack_eps`, or else in the one that it was trained for.
    """

    samples: str | None = None
    classifier: Network = field(default_factory=Network)
    norm: str | None = field(default=None, metadata={"allowed": ("l2", "linf")})
    reference: Dataset = field(default_factory=Dataset)
    statistics: str | None = None
    judge: str | None = None
    metrics: Metrics = field(default_factory=Metrics)
    tracker: Tracker = field(default_factory=Tracker)

    @property
    def has_classifier(self) -> bool:
        return self.classifier.checkpoint is not None or self.classifier.model is not None

    def check(self, prefix: str) -> None:
        """Refuse what belongs to samples beside a classifier, and the other way round."""
        if not self.has_classifier and self.norm is not None:
            raise RequestError(f"{prefix}norm: found {self.norm} without a classifier; allowed with checkpoint=FILE")
        for key in ("samples", "statistics", "judge"):
            if self.has_classifier and getattr(self, key) is not None:
                raise RequestError(f"{prefix}{key}: found beside a classifier; allowed: one or the other")


@dataclass
class StatisticsConfig(Common):
    """What FID needs of a data set, as a file; `protocol` says of which split and with which extractor."""

    reference: Dataset = field(default_factory=Dataset)
    protocol: str = "fid50k_train"
    metrics: Metrics = field(default_factory=Metrics)


@dataclass
class ReportConfig:
    """One record to render, or several to compare: files or directories."""

    record: str | None = None
    records: list[str] | None = None
    out: str | None = None
    readme: str | None = None
    debug: bool = False


@dataclass
class RunsConfig:
    """Which of the runs below `under` to list, in which order, with which figures; see runs/query.py for the words."""

    under: list[str] = field(default_factory=list)
    command: str | None = None
    experiment: str | None = None
    dataset: str | None = None
    status: str | None = field(default=None, metadata={"allowed": ("finished", "unfinished", "failed", "unreadable")})
    where: str | None = None
    sort: str = "finished"
    figures: list[str] = field(default_factory=list, metadata={"empty": True})
    compare: bool = False
    out: str | None = None
    debug: bool = False


@dataclass
class ConvertConfig:
    """A checkpoint of another library, the classifier that it is, and where to write it as one of ours."""

    out: str | None = None
    classifier: Network = field(default_factory=Network)
    dataset: Dataset = field(default_factory=Dataset)
    half: bool = False
    trust: bool = False
    debug: bool = False


@dataclass
class DoctorConfig:
    debug: bool = False


# What each command reads of `Config`; another key on its command line would do nothing, and is refused.
COMMON_KEYS = ("out", "seed", "force", "debug", "device", "precision", "trainer", "experiment", "scale", "dataset")


USES: dict[str, tuple[str, ...]] = {
    "train": (*COMMON_KEYS, "model", "classifier", "adversary", "recipe", "baseline", "metrics", "tracker", "tasks"),
    "synthesize": (
        *COMMON_KEYS, "task", "tasks", "classifier", "ensemble", "samples", "originals", "inputs",
        "masks", "tracker",
    ),
    "bundle": ("out", "debug", "device", "experiment", "scale", "dataset", "classifier", "tasks"),
    "reproduce": (
        *COMMON_KEYS, "classifier", "adversary", "recipe", "judge", "baseline", "tasks", "samples", "metrics",
        "curves", "tracker", "select", "originals", "ensemble",
    ),
}  # fmt: skip
