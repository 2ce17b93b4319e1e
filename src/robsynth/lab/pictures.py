"""Pictures of a run: grids of what every task made, its best and worst cases, and how images came about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robsynth.files import write_atomically
from robsynth.metrics.cases import merits, nearest_training_images
from robsynth.metrics.evaluate import Evaluation
from robsynth.samples import Samples, SampleSet, as_pixels
from robsynth.tasks import Synthesis

Drawn = tuple[str, str, np.ndarray]
"""A picture's name, its caption, and its pixels uint8 (height, width, 3)."""
GAP = 2
COLUMNS, CASES, STRIPS = 10, 5, 5
# A grid of a thousand classes is for nobody.
ROWS = 20
# The side in screen pixels that small images are enlarged to, about.
SIDE = 96


def generation_pictures(
    samples: Samples, synthesis: Synthesis, evaluation: Evaluation, classes: int
) -> Iterator[Drawn]:
    """What was generated, how it came about, and what it is nearest to among the training images."""
    first = samples.first(COLUMNS * classes)
    yield "generation", "Generated images, a row a class", classes_grid(first)
    yield "ascent", "From the Gaussian seed to the image: steps of one ascent in each row", ascent_strips(synthesis)
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
    rows = _rows(samples, [*order[::-1][:CASES].tolist(), *order[:CASES][::-1].tolist()])
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
        found |= {number: chunk.take([number - first]) for number in numbers if 0 <= number - first < len(chunk)}
        first += len(chunk)
    return SampleSet.joined([found[number] for number in numbers])


def store_grid(samples: SampleSet, task: str) -> np.ndarray:
    """The first images of a task: a row a class for generation, input and result for the others."""
    return classes_grid(samples) if task == "generation" else task_grid(samples)


def classes_grid(samples: SampleSet) -> np.ndarray:
    """A row a class, the first images of each."""
    assert samples.wanted is not None
    classes = np.unique(samples.wanted)[:ROWS]
    return tile([samples.images[samples.wanted == label][:COLUMNS] for label in classes])


def task_grid(samples: SampleSet) -> np.ndarray:
    """Rows: where the images start, what became of them and, where there is one, the original."""
    return tile([row[:COLUMNS] for row in (samples.start, samples.images, samples.original) if row is not None])


def ascent_strips(synthesis: Synthesis, images: int = STRIPS, columns: int = COLUMNS) -> np.ndarray:
    """The first images of a task along their way up, a row each, at evenly spaced steps from start to end."""
    # As pixels: iterates that were kept as they are would stay in the device's memory.
    path: list[np.ndarray] = []
    _, result = synthesis.run(torch.arange(images), on_step=lambda i, x, values: path.append(as_pixels(x)))
    path.append(as_pixels(result))
    moments = torch.linspace(0, len(path) - 1, columns).round().long().tolist()
    return tile(list(np.stack([path[moment] for moment in moments], 1)))


def tile(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of images, each uint8 (n, H, W, C), side by side with a white gap: uint8 (height, width, 3)."""
    zoom = max(1, round(SIDE / rows[0].shape[1]))
    height, width = (zoom * size + GAP for size in rows[0].shape[1:3])
    canvas = np.full((height * len(rows) + GAP, width * max(map(len, rows)) + GAP, 3), 255, np.uint8)
    for top, row in enumerate(rows):
        for left, image in enumerate(row):
            y, x = GAP + top * height, GAP + left * width
            canvas[y : y + height - GAP, x : x + width - GAP] = image.repeat(zoom, 0).repeat(zoom, 1)
    return canvas


def save_png(path: Path, canvas: np.ndarray) -> None:
    write_atomically(path, lambda file: Image.fromarray(canvas).save(file, "PNG", optimize=True))
