"""The schema of every configuration: types, ranges and what contradicts what.

Hydra composes the YAML files of `conf/` into these dataclasses, so a misspelt key or a wrong type is an error
that names it; `check` refuses values out of range before any work.
"""

import dataclasses
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from robsynth.errors import RequestError


def number(least: float | None = None, above: float | None = None, most: float | None = None) -> Any:
    """A required number, with its range."""
    return field(default=MISSING_NUMBER, metadata={"least": least, "above": above, "most": most})


def choice(*allowed: str, default: str = "???") -> Any:
    """A string out of a few."""
    return field(default=default, metadata={"allowed": allowed})


# OmegaConf's mark of a value that a YAML file has to give.
MISSING_NUMBER: Any = "???"


@dataclass
class Dataset:
    """Which images. `root` and `hub` name the source, which is found by the data set's name without them.

    `classes` picks some by name, in that order; `size` is the side in pixels to which images are brought
    (their own unless given); `mean` and `std` are the classifier's normalisation (the training split's own
    unless given).
    """

    name: str = "???"
    root: str | None = None
    hub: str | None = None
    download: bool = True
    size: int | None = field(default=None, metadata={"least": 8})
    classes: list[str] | None = None
    mean: list[float] | None = field(default=None, metadata={"least": 0, "most": 1})
    std: list[float] | None = field(default=None, metadata={"above": 0})


# Each network, and the settings that it is built from; the last three bring their own weights.
ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "compact": ("widths",),
    "residual": ("widths",),
    "resnet18_cifar": (),
    "resnet50_cifar": (),
    "resnet18": (),
    "resnet50": (),
    "wide_resnet": ("depth", "widen"),
    "timm": ("model",),
    "torchvision": ("model",),
    "robustbench": ("model", "threat"),
}
FOREIGN = ("timm", "torchvision", "robustbench")


@dataclass
class Network:
    """A network to train, or with a `checkpoint` a trained one: a file, or the name of a bundle in this package.

    `model` is a name in the library that `arch` names, `threat` the threat model that RobustBench lists it under.
    """

    arch: str = choice(*ARCHITECTURES)
    widths: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    depth: int | None = field(default=None, metadata={"least": 10})
    widen: int | None = field(default=None, metadata={"least": 1})
    checkpoint: str | None = None
    model: str | None = None
    threat: str | None = field(default=None, metadata={"allowed": ("Linf", "L2", "corruptions")})

    def check(self, prefix: str) -> None:
        """Refuse settings that `arch` lacks or does not read."""
        for key in ("widths", "depth", "widen", "model", "threat"):
            value, needed = getattr(self, key), key in ARCHITECTURES[self.arch]
            found = "an empty list" if value == [] else "none" if value is None else value
            if needed and value in (None, []):
                raise RequestError(f"{prefix}{key}: found {found}, but {self.arch} needs it")
            if not needed and value not in (None, []):
                raise RequestError(f"{prefix}{key}: found {found}, but {self.arch} does not read it; allowed: none")
        if self.checkpoint is not None and self.arch in FOREIGN:
            raise RequestError(f"{prefix}checkpoint: {self.arch} brings its own weights; allowed: none")
        if self.depth is not None and (self.depth - 4) % 6:
            raise RequestError(f"{prefix}depth: found {self.depth}, allowed: 6 n + 4, e.g. 16, 28, 34")


@dataclass
class Adversary:
    """What is done to a training batch; eps and step size in pixels of [0, 1]."""

    norm: str = choice("l2", "linf", "none")
    eps: float = number(least=0)
    steps: int = number(least=1)
    step_size: float = number(above=0)
    random_start: bool = False
    keep: str = choice("best", "last", default="best")


@dataclass
class Augmentation:
    """How a training batch is changed at random, image by image.

    Shifts in pixels, colours by factors 1 +- `jitter`, rotations by up to `rotation` degrees, `lighting` the
    deviation of the noise along the colours' principal axes (Krizhevsky et al., 2012).
    """

    shift: int = number(least=0)
    flip: bool = False
    jitter: float = field(default=0.0, metadata={"least": 0, "most": 1})
    rotation: float = field(default=0.0, metadata={"least": 0})
    lighting: float = field(default=0.0, metadata={"least": 0})


@dataclass
class Recipe:
    """How a network is trained: by SGD, with the learning rate in one cycle or a tenth after each of `drops`.

    `ema` is the decay of the weights' moving average, of which the trained network is made; 0 for none.
    `start` is a checkpoint to begin from; a head for other classes begins anew.
    """

    epochs: int = number(least=1)
    batch_size: int = number(least=2)
    learning_rate: float = number(above=0)
    momentum: float = number(least=0, most=1)
    weight_decay: float = number(least=0)
    schedule: str = choice("one_cycle", "steps")
    drops: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    ema: float = field(default=0.0, metadata={"least": 0, "most": 1})
    augment: Augmentation = field(default_factory=Augmentation)
    workers: int = field(default=0, metadata={"least": 0})
    start: str | None = None


@dataclass
class Judge:
    """A standard classifier that says what it sees; "none" does without."""

    name: str = choice("residual", "none")
    network: Network = field(default_factory=Network)
    recipe: Recipe = field(default_factory=Recipe)


@dataclass
class Baseline:
    """A conditional WGAN-GP (Gulrajani et al., 2017)."""

    name: str = choice("wgan_gp", "none")
    epochs: int = number(least=1)
    batch_size: int = number(least=2)
    critic_steps: int = number(least=1)
    latent: int = number(least=1)
    width: int = number(least=8)
    learning_rate: float = number(above=0)
    penalty: float = number(least=0)
    ema: float = number(least=0, most=1)


@dataclass
class Task:
    """What every task has: the ball, the path in it and which of its points to keep.

    `noise` is the deviation of Gaussian noise that is added to the start image; the ball stays where it is.
    `target` is the name of the class that every image shall show; without one each task has its own rule.
    """

    norm: str = choice("l2", "linf", "none")
    eps: float = number(least=0)
    steps: int = number(least=1)
    step_size: float = number(above=0)
    keep: str = choice("best", "last")
    noise: float = field(default=0.0, metadata={"least": 0})
    target: str | None = None


@dataclass
class ClassTask(Task):
    """A task that moves an image towards a class: by the cross-entropy, or by the class's logit."""

    objective: str = choice("cross_entropy", "logit", default="cross_entropy")


@dataclass
class Generation(ClassTask):
    """Seeds are Gaussians of each class's images of the split `fit`, averaged over `pool` x `pool` pixels.

    Where they come from: the data set, or the classifier's bundle, which keeps them with a covariance of rank
    `rank`; "auto" takes the bundle's where it has them.
    """

    pool: int = number(least=1)
    rank: int = number(least=1)
    fit: str = choice("train", "test", default="train")
    seeds: str = choice("auto", "data", "bundle", default="auto")


@dataclass
class Inpainting(ClassTask):
    """The hole is a square of `hole` pixels, unless masks are given."""

    hole: int = number(least=1)
    penalty: float = number(least=0)


@dataclass
class Translation(ClassTask):
    pass


@dataclass
class SuperResolution(ClassTask):
    """Images are averaged over `factor` x `factor` pixels first, unless they are that small already."""

    factor: int = number(least=2)


@dataclass
class SketchToImage(ClassTask):
    """A sketch is made from a photo, by its strokes brighter than `threshold` or by its edges, or is given."""

    lines: str = choice("strokes", "edges", "given")
    threshold: float = number(least=0, most=1)


@dataclass
class Stage:
    """One stage of painting: where (a file, or a folder with one for each input), and what."""

    mask: str | None = None
    unit: int | None = field(default=None, metadata={"least": 0})
    target: str | None = None


@dataclass
class FeaturePainting(Task):
    """Paints a unit of the representation, or the class score of a target, into a square of `patch` pixels or a mask.

    `stages` are painted one after the other, each on what the one before left; none given is one stage.
    """

    patch: int = number(least=1)
    weight: float = number(above=0)
    penalty: float = number(least=0)
    maximise: str = choice("unit", "score", default="unit")
    unit: int | None = field(default=None, metadata={"least": 0})
    stages: list[Stage] = field(default_factory=list, metadata={"empty": True})


TASKS: dict[str, type[Task]] = {
    "generation": Generation,
    "inpainting": Inpainting,
    "translation": Translation,
    "super_resolution": SuperResolution,
    "sketch_to_image": SketchToImage,
    "feature_painting": FeaturePainting,
}


@dataclass
class Samples:
    count: int = number(least=1)
    batch_size: int = number(least=1)


@dataclass
class Metrics:
    """What is measured: sets of images under `protocols` (names as in metrics/protocols.py), classifiers by PGD.

    `resamples` is the number of bootstrap resamples of an interval, 0 for none. `plugins` are modules to import that
    register extractors of one's own.
    """

    protocols: list[str] = field(default_factory=list, metadata={"empty": True})
    resamples: int = number(least=0)
    attack_steps: int = number(least=1)
    # Of how many test images accuracy is measured; of all without a number.
    accuracy_count: int | None = field(default=None, metadata={"least": 1})
    # A file, or "download".
    inception_weights: str | None = None
    plugins: list[str] = field(default_factory=list, metadata={"empty": True})


@dataclass
class Curves:
    """Generation along one setting: at each number of steps and at each eps, of `count` images."""

    steps: list[int] = field(default_factory=list, metadata={"least": 1, "empty": True})
    eps: list[float] = field(default_factory=list, metadata={"above": 0, "empty": True})
    count: int = number(least=1)


@dataclass
class Tracker:
    """Where a run is logged besides its record; the rest is W&B's, where "auto" is online if there is an account."""

    name: str = choice("wandb", "tensorboard", "csv", "none")
    project: str = "robsynth"
    group: str | None = None
    mode: str = choice("auto", "offline", "online", default="auto")

    def check(self, prefix: str) -> None:
        """Refuse a server where there is none."""
        if self.mode != "auto" and self.name != "wandb":
            raise RequestError(f"{prefix}mode: found {self.mode}, but only tracker=wandb has a server; allowed: auto")


@dataclass
class Common:
    """What every command with work to do understands."""

    out: str | None = None
    seed: int = 0
    force: bool = False
    debug: bool = False
    device: str = choice("auto", "cpu", "cuda", default="auto")
    precision: str = choice("auto", "fp32", "bf16", default="auto")


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


@dataclass
class EvaluateConfig(Common):
    """Samples against a data set, or against exported `statistics` of one."""

    samples: str | None = None
    reference: Dataset = field(default_factory=Dataset)
    statistics: str | None = None
    judge: str | None = None
    metrics: Metrics = field(default_factory=Metrics)


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
COMMON_KEYS = ("out", "seed", "force", "debug", "device", "precision", "experiment", "scale", "dataset")
USES: dict[str, tuple[str, ...]] = {
    "train": (*COMMON_KEYS, "model", "classifier", "adversary", "recipe", "baseline", "metrics", "tracker", "tasks"),
    "synthesize": (
        *COMMON_KEYS, "task", "tasks", "classifier", "ensemble", "samples", "originals", "inputs",
        "masks",
    ),
    "bundle": ("out", "debug", "device", "experiment", "scale", "dataset", "classifier", "tasks"),
    "reproduce": (
        *COMMON_KEYS, "classifier", "adversary", "recipe", "judge", "baseline", "tasks", "samples", "metrics",
        "curves", "tracker", "select", "originals", "ensemble",
    ),
}  # fmt: skip


def check(config: Any, prefix: str = "") -> None:
    """Refuse values out of their declared range, with a line that names the key.

    Raises
    ------
    RequestError
        For the first value that is missing, too small, too large, or not among the allowed ones.
    """
    for item in dataclasses.fields(config):
        value, key = getattr(config, item.name), prefix + item.name
        if is_dataclass(value):
            check(value, f"{key}.")
        elif isinstance(value, dict):
            for name, part in value.items():
                check(part, f"{key}.{name}.")
        elif value == [] and not item.metadata.get("empty"):
            raise RequestError(f"{key}: found an empty list, allowed: one or more")
        else:
            for place, one in enumerate(value if isinstance(value, list) else [value]):
                if is_dataclass(one):
                    check(one, f"{key}[{place}].")
                else:
                    _check_value(key, one, dict(item.metadata))
    if isinstance(config, Network | Tracker):
        config.check(prefix)


def _check_value(key: str, value: Any, limits: dict[str, Any]) -> None:
    if value is None or (isinstance(value, str) and "allowed" not in limits) or not limits:
        return
    if "allowed" in limits:
        if value not in limits["allowed"]:
            raise RequestError(f"{key}: found {value!r}, allowed: {', '.join(limits['allowed'])}")
        return
    least, above, most = (limits.get(name) for name in ("least", "above", "most"))
    # Written so that NaN fails.
    inside = (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and abs(value) != float("inf")
    )
    if not inside:
        bounds = [f"{sign} {bound}" for sign, bound in ((">=", least), (">", above), ("<=", most)) if bound is not None]
        raise RequestError(f"{key}: found {value}, allowed: a number {' and '.join(bounds)}")
