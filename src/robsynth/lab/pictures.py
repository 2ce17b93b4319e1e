"""Stage that draws: grids of what every task made, and one image along its ascent."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robsynth.files import write_atomically
from robsynth.lab.synthesis import as_pixels
from robsynth.samples import SampleSet
from robsynth.tasks import Synthesis

GAP = 2
COLUMNS = 10
# A grid of a thousand classes is for nobody.
ROWS = 20
# The side in screen pixels that small images are enlarged to, about.
SIDE = 96


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
    content = io.BytesIO()
    Image.fromarray(canvas).save(content, "PNG", optimize=True)
    write_atomically(path, lambda file: file.write(content.getvalue()))


def classes_grid(samples: SampleSet) -> np.ndarray:
    """A row a class, the first images of each."""
    assert samples.wanted is not None
    classes = np.unique(samples.wanted)[:ROWS]
    return tile([samples.images[samples.wanted == label][:COLUMNS] for label in classes])


def task_grid(samples: SampleSet) -> np.ndarray:
    """Rows: where the images start, what became of them and, where there is one, the original."""
    rows = [samples.start, samples.images, samples.original]
    return tile([row[:COLUMNS] for row in rows if row is not None])


def store_grid(samples: SampleSet, task: str) -> np.ndarray:
    """The first images of a task: a row a class for generation, input and result for the others."""
    return classes_grid(samples) if task == "generation" else task_grid(samples)


def ascent_strips(synthesis: Synthesis, images: int = 5, columns: int = COLUMNS) -> np.ndarray:
    """The first images of a task along their way up, a row each, at evenly spaced steps from start to end."""
    path: list[Tensor] = []
    _, result = synthesis.run(torch.arange(images), on_step=lambda i, x, values: path.append(x))
    path.append(result)
    moments = torch.linspace(0, len(path) - 1, columns).round().long().tolist()
    frames = np.stack([as_pixels(path[moment]) for moment in moments], 1)
    return tile(list(frames))
