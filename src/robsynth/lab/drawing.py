"""Stage that draws: grids of what every task made, its best and worst cases, and how images came about."""

from collections.abc import Iterator

import numpy as np

from robsynth.lab.pictures import COLUMNS, ascent_strips, classes_grid, task_grid, tile
from robsynth.metrics.cases import merits, nearest_training_images
from robsynth.metrics.evaluate import Evaluation
from robsynth.samples import Samples, SampleSet
from robsynth.tasks import Synthesis

Drawn = tuple[str, str, np.ndarray]
"""A picture's name, its caption, and its pixels uint8 (height, width, 3)."""
CASES = 5


def generation_pictures(
    samples: Samples, synthesis: Synthesis, evaluation: Evaluation, classes: int
) -> Iterator[Drawn]:
    """What was generated, how it came about, and what it is nearest to among the training images."""
    first = samples.first(COLUMNS * classes)
    yield "generation", "Generated images, a row a class", classes_grid(first)
    strips = ascent_strips(synthesis)
    yield "ascent", "From the Gaussian seed to the image: steps of one ascent in each row", strips
    nearest = nearest_training_images(evaluation, samples, COLUMNS)
    if nearest is not None:
        pair = tile([first.images[:COLUMNS], nearest])
        yield "neighbours", "Generated images, and below each the training image with the nearest features", pair


def task_pictures(task: str, samples: Samples) -> Iterator[Drawn]:
    """What a task was given, and what it made of it."""
    rows = "input, result" + (", original" if "original" in samples.has else "")
    yield task, f"{_title(task)}; rows: {rows}", task_grid(samples.first(COLUMNS))


def extreme_cases(task: str, samples: Samples, evaluation: Evaluation) -> Iterator[Drawn]:
    """The best and the worst images of a task, by a measure that knows what was wanted."""
    found = merits(evaluation, samples)
    if found is None:
        return
    name, values = found
    order = np.argsort(values, kind="stable")
    chosen = [*order[::-1][:CASES].tolist(), *order[:CASES][::-1].tolist()]
    rows = _rows(samples, chosen)
    canvas = tile([rows.images]) if task == "generation" else task_grid(rows)
    caption = f"{_title(task)}: the {CASES} best and the {CASES} worst of {len(samples)} by {name}, from left to right"
    yield f"{task}_cases", caption, canvas


def _title(task: str) -> str:
    return task.replace("_", "-").capitalize()


def _rows(samples: Samples, numbers: list[int]) -> SampleSet:
    """The samples with these numbers, in this order; those in between are read and let go."""
    found: dict[int, SampleSet] = {}
    first = 0
    for chunk in samples.chunks():
        found |= {number: chunk.take([number - first]) for number in numbers if 0 <= number - first < len(chunk.images)}
        first += len(chunk.images)
    return SampleSet.joined([found[number] for number in numbers])
