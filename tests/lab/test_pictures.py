"""Grids of images, as records show them."""

import numpy as np
import pytest
import torch
from PIL import Image

from robsynth.lab.pictures import COLUMNS, GAP, ROWS, ascent_strips, save_png, store_grid, tile
from robsynth.samples import SampleSet


def grey(*levels, size=96):
    return np.stack([np.full((size, size, 1), level, np.uint8) for level in levels])


def corners(canvas, size=96):
    """The first pixel of each image of a grid, in grey."""
    return canvas[GAP :: size + GAP, GAP :: size + GAP, 0].tolist()


def test_rows_stand_side_by_side_with_a_gap_and_small_images_are_enlarged(tmp_path):
    canvas = tile([grey(1, 2), grey(3)])
    assert canvas.shape == (2 * (96 + GAP) + GAP, 2 * (96 + GAP) + GAP, 3)
    assert corners(canvas) == [[1, 2], [3, 255]]
    assert tile([grey(1, size=32)]).shape == tile([grey(1)]).shape
    save_png(tmp_path / "a.png", canvas)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), canvas)


def test_what_was_generated_has_a_row_a_class_and_other_tasks_input_result_and_original():
    many = SampleSet(grey(*range(60)), wanted=np.arange(60) % 30)
    assert [row[:3] for row in corners(store_grid(many, "generation"))] == [[i, 30 + i] for i in range(ROWS)]
    known = SampleSet(grey(1, 2), start=grey(3, 4), original=grey(5, 6))
    assert corners(store_grid(known, "inpainting")) == [[3, 4], [1, 2], [5, 6]]


class Brightening:
    """Stands for a synthesis: an image that grows brighter in place."""

    def __init__(self, steps):
        self.steps = steps

    def run(self, indices, on_step):
        x = torch.zeros(len(indices), 1, 96, 96)
        for i in range(self.steps):
            on_step(i, x, None)
            x += 1 / self.steps
        return None, x


@pytest.mark.parametrize("steps", [5, 51])
def test_the_strip_of_an_ascent_goes_from_its_start_to_its_end_in_even_steps(steps):
    strips = corners(ascent_strips(Brightening(steps), images=2))
    assert [len(strip) for strip in strips] == [COLUMNS, COLUMNS]
    assert (strips[0][0], strips[0][-1]) == (0, 255)
    assert strips[0] == sorted(strips[0])
    assert max(np.diff(strips[0])) <= 255 / min(steps, COLUMNS - 1) + 255 / steps
