"""Where images start, what they climb and how far, for each task."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice, number


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
