"""Where images start, what they climb and how far, for each task."""

from dataclasses import dataclass

from robsynth.config.fields import choice, number, setting
from robsynth.config.registry import NORMS, OBJECTIVES, Names


@dataclass
class TaskSettings:
    """What every task has: the ball, the path in it and which of its points to keep."""

    norm: str = choice(NORMS, help="of the ball that images stay in")
    eps: float = number(least=0, help="its radius; pixels in [0, 1]")
    steps: int = number(least=1, help="how many")
    step_size: float = number(above=0, help="length of one, in the norm")
    keep: str = choice(("best", "last"), help="which point of the path: of the highest objective, or the last")
    noise: float = number(least=0, default=0.0, help="deviation of noise added to the start; the ball stays")
    target: str | None = setting(None, help="name of the class that every image shall show; else by the task's rule")


@dataclass
class ClassTask(TaskSettings):
    """A task that moves an image towards a class."""

    objective: str = choice(OBJECTIVES, default="cross_entropy", help="what is climbed, but in feature painting")


@dataclass
class Generation(ClassTask):
    """Seeds are Gaussians of each class's images."""

    pool: int = number(least=1, help="side of the pixels over which seeds are averaged")
    rank: int = number(least=1, help="of the covariance that a bundle keeps")
    fit: str = choice(("train", "test"), default="train", help="the split that the Gaussians are fitted to")
    seeds: str = choice(("auto", "data", "bundle"), default="auto", help="where from; auto: a bundle's if it has them")


@dataclass
class Inpainting(ClassTask):
    """Fills a hole."""

    hole: int = number(least=1, help="side of the square hole in pixels, unless masks are given")
    penalty: float = number(least=0, help="on changes outside the hole")


@dataclass
class SuperResolution(ClassTask):
    """Images are averaged first, unless they are that small already."""

    factor: int = number(least=2, help="side in pixels of what is averaged")


@dataclass
class SketchToImage(ClassTask):
    """A sketch is made from a photo, or is given."""

    lines: str = choice(("strokes", "edges", "given"), help="where they come from: bright strokes, edges, own images")
    threshold: float = number(least=0, most=1, help="above which a pixel is a stroke")


@dataclass
class PaintingStage:
    """One stage of painting: where, and what."""

    mask: str | None = setting(None, help="a file, or a folder with one for each input")
    unit: int | None = number(least=0, default=None, help="of the representation")
    target: str | None = setting(None, help="or a class")


@dataclass
class FeaturePainting(TaskSettings):
    """Paints a unit of the representation, or the class score of a target, into a square or a mask."""

    patch: int = number(least=1, help="side of the square in pixels, unless masks are given")
    weight: float = number(above=0, help="of the unit in the objective")
    penalty: float = number(least=0, help="on changes outside the square or mask")
    maximise: str = choice(("unit", "score"), default="unit", help="what is painted")
    unit: int | None = number(least=0, default=None, help="its number; chosen by the wanted class unless given")
    stages: list[PaintingStage] = setting(
        list, help="one after the other: [{mask:PATH,unit:K},{mask:PATH,target:CLASS}]"
    )


TASKS = Names("task", {
    "generation": Generation,
    "inpainting": Inpainting,
    "translation": ClassTask,
    "super_resolution": SuperResolution,
    "sketch_to_image": SketchToImage,
    "feature_painting": FeaturePainting,
})  # fmt: skip
"""Each with the dataclass of its settings, a `TaskSettings`; one's own have all their defaults there."""
