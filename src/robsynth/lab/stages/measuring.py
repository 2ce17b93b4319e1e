"""Stages that measure images: a task's, what they are set beside, along a curve, the rival's, real ones."""

from collections.abc import Callable
from dataclasses import replace

from robsynth.classifiers import find_checkpoint
from robsynth.config import Metrics
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage, as_result
from robsynth.metrics.classical import beside, start
from robsynth.metrics.evaluate import Evaluation, images_through, reference_through
from robsynth.metrics.extractors import JudgeExtractor
from robsynth.metrics.protocols import JUDGE, parse
from robsynth.metrics.real import DataSamples
from robsynth.records.figures import Figure
from robsynth.samples import Samples, WithImages

SEEDS, REAL = "Gaussian seeds", "real held-out images"


def has_judge(context: Context) -> bool:
    judge = context.config.judge
    return judge is not None and getattr(judge, "name", judge) != "none"


def evaluation(context: Context) -> Evaluation:
    """The run's evaluation against its data set, by its judge."""

    def make() -> Evaluation:
        settings = context.config.judge
        if not has_judge(context):
            judge = None
        elif settings.checkpoint is None:
            judge = context.checkpoint("judge")
        else:
            judge = find_checkpoint(settings.checkpoint, "judge.checkpoint")
        seen = None if judge is None else open_judge(context, str(judge), "judge.checkpoint")
        return Evaluation(context.config.metrics, context.machine, context.data, seen)

    return context.kept("evaluation", make)


def open_judge(context: Context, name: str, key: str = "judge") -> JudgeExtractor:
    """The classifier of a checkpoint as a judge of the images of the run's data set."""
    path = find_checkpoint(name, key)
    network, about = context.open(path, key)
    if tuple(about["label_names"]) != context.data.label_names:
        raise RequestError(f"{key}: {path} knows other classes than {context.data.name}")
    return JudgeExtractor(network, file_sha1(path)[:12])


def reference_features(context: Context, count: int, needs: tuple[str, ...] = ()) -> Stage:
    """What sets of `count` images are measured against, computed once by all processes."""
    config = context.config

    def work(context: Context) -> Result:
        evaluation(context).prepare(count)
        return {}

    def cost(context: Context) -> Cost:
        sizes = context.sizes
        return through(reference_through(
            config.metrics, context.machine, count, sizes.train, sizes.test, has_judge(context)
        ))  # fmt: skip

    return Stage("reference features", work, cost, needs)


def through(images: dict[str, int]) -> Cost:
    """Of images that extractors look at."""
    return Cost(", ".join(f"{count} images through {name}" for name, count in images.items()), images, 100)


def _measuring(
    name: str, figures: Callable[[Context], list[Figure]], images: dict[str, int], needs: tuple[str, ...]
) -> Stage:
    def work(context: Context) -> Result:
        found = figures(context)
        warnings, evaluation(context).warnings = evaluation(context).warnings, []
        return as_result(found, warnings)

    return Stage(f"measure {name}", work, lambda context: through(images), needs)


def _images(context: Context, count: int, metrics: Metrics | None = None) -> dict[str, int]:
    return images_through(metrics or context.config.metrics, context.machine, count, has_judge(context))


Opened = Callable[[Context], Samples]


def measure(context: Context, subject: str, samples: Opened, needs: tuple[str, ...] = ()) -> Stage:
    """All figures of a set of images."""

    def figures(context: Context) -> list[Figure]:
        return evaluation(context).measure(subject, samples(context))

    return _measuring(subject, figures, _images(context, context.config.samples.count), needs)


def measure_task(context: Context, task: str, samples: Opened, needs: tuple[str, ...] = ()) -> Stage:
    """What a task made, beside what it was given and what anyone would try first."""
    count, others = context.config.samples.count, dict(beside(context.config.tasks[task]))

    def figures(context: Context) -> list[Figure]:
        made, measured = samples(context), evaluation(context)
        found = measured.measure(task, made)
        if task == "generation":
            return found + measured.measure(SEEDS, WithImages(made, SEEDS, start))
        for name, method in others.items():
            subject = f"{task}: {name}"
            found += measured.beside(subject, WithImages(made, subject, method))
        return found

    images = _images(context, 2 * count if task == "generation" else count)
    if task != "generation" and has_judge(context):
        images[JUDGE] += len(others) * count
    return _measuring(task, figures, images, (f"synthesize {task}", *needs))


def measure_at(
    context: Context, point: dict[str, float], name: str, samples: Opened, needs: tuple[str, ...] = ()
) -> Stage:
    """A point of a curve, of which FID alone is measured, and the judge's word."""
    metrics, count = context.config.metrics, context.config.curves.count
    metrics = replace(metrics, protocols=[one for one in metrics.protocols if parse(one).kind == "fid"])

    def figures(context: Context) -> list[Figure]:
        return evaluation(context).at(point, "generation", samples(context))

    images = _images(context, count, metrics)
    if has_judge(context):
        # The first point's also looks at as many real images.
        images[JUDGE] += count
    return _measuring(f"at {name}", figures, images, (f"synthesize at {name}", *needs))


def real_images(context: Context) -> Samples:
    """As many of the test images as there are of a task."""
    return DataSamples(REAL, context.data.test, context.config.samples.count)
