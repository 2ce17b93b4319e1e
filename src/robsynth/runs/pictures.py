"""Stage that draws: grids of what every task made, and one image along its ascent."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robsynth.files import write_atomically
from robsynth.runs.synthesis import as_pixels
from robsynth.samples import SampleSet
from robsynth.tasks.synthesis import Synthesis

ZOOM = 2
GAP = 2
COLUMNS = 12


def tile(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of images, each uint8 (n, H, W, C), side by side with a white gap: uint8 (height, width, 3)."""
    height, width = (ZOOM * size + GAP for size in rows[0].shape[1:3])
    canvas = np.full((height * len(rows) + GAP, width * max(map(len, rows)) + GAP, 3), 255, np.uint8)
    for top, row in enumerate(rows):
        for left, image in enumerate(row):
            y, x = GAP + top * height, GAP + left * width
            canvas[y : y + height - GAP, x : x + width - GAP] = image.repeat(ZOOM, 0).repeat(ZOOM, 1)
    return canvas


def save_png(path: Path, canvas: np.ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(canvas).save(content, "PNG", optimize=True)
    write_atomically(path, lambda file: file.write(content.getvalue()))


def classes_grid(samples: SampleSet) -> np.ndarray:
    """A row a class, the first images of each."""
    assert samples.wanted is not None
    return tile([samples.images[samples.wanted == label][:COLUMNS] for label in np.unique(samples.wanted)])


def task_grid(samples: SampleSet) -> np.ndarray:
    """Rows: where the images start, what became of them and, where there is one, the original."""
    rows = [samples.start, samples.images, samples.original]
    return tile([row[:COLUMNS] for row in rows if row is not None])


def ascent_strips(synthesis: Synthesis, images: int = 5, columns: int = COLUMNS) -> np.ndarray:
    """The first images of a task along their way up, a row each, at evenly spaced steps from start to end."""
    path: list[Tensor] = []
    _, result = synthesis.run(torch.arange(images), on_step=lambda i, x, values: path.append(x))
    path.append(result)
    moments = torch.linspace(0, len(path) - 1, columns).round().long().tolist()
    frames = np.stack([as_pixels(path[moment]) for moment in moments], 1)
    return tile(list(frames))
