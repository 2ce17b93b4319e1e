"""Augmentation against closed forms, naive loops and torchvision's functions for single images."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import pad
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from harness import ROOT
from robsynth.config import Augmentation
from robsynth.data import MemoryImages
from robsynth.data.augment import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    augment,
    colour_jitter,
    random_flip,
    random_lighting,
    random_rotation,
    random_shift,
    rotate,
)
from robsynth.data.decode import centre, random_crop, to_tensor
from robsynth.randomness import generator

EVERYTHING = Augmentation(shift=4, flip=True, jitter=0.25, rotation=2.0, lighting=0.05)


@pytest.fixture
def images(device):
    return torch.rand(40, 3, 16, 16, generator=generator(0, "images")).to(device)


@pytest.fixture
def photograph():
    pixels = torch.randint(0, 256, (60, 80, 3), generator=generator(0, "photograph"), dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def test_a_shift_is_a_padded_crop(images):
    shifted = random_shift(images, 2, generator(0, "shift"))
    padded = pad(images, (2, 2, 2, 2))
    corners = torch.randint(0, 5, (2, 40), generator=generator(0, "shift"))
    for image, expected, top, left in zip(shifted, padded, *corners, strict=True):
        assert torch.equal(image, expected[:, top : top + 16, left : left + 16])
    assert torch.equal(random_shift(images, 0, generator(0)), images)


def test_shifts_reach_every_corner_and_go_no_further():
    dot = torch.zeros(2000, 1, 9, 9)
    dot[:, :, 4, 4] = 1
    places = random_shift(dot, 2, generator(0, "shift")).nonzero()[:, 2:]
    assert {tuple(place) for place in places.tolist()} == {(y, x) for y in range(2, 7) for x in range(2, 7)}


def test_a_flip_mirrors_half_of_the_images_and_twice_is_once_too_often(images):
    many = images[:1].repeat(2000, 1, 1, 1)
    flipped = random_flip(many, generator(0, "flip"))
    mirrored = (flipped == many.flip(3)).flatten(1).all(1)
    kept = (flipped == many).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    # Four deviations of a fair coin.
    assert abs(mirrored.sum() - 1000) < 4 * 500**0.5
    assert torch.equal(random_flip(flipped, generator(0, "flip")), many)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adjust_brightness, reference.adjust_brightness),
        (adjust_contrast, reference.adjust_contrast),
        (adjust_saturation, reference.adjust_saturation),
    ],
)
def test_colour_changes_are_torchvisions(images, ours, theirs):
    factors = torch.linspace(0.5, 1.5, len(images))
    expected = torch.stack([theirs(image, float(factor)) for image, factor in zip(images, factors, strict=True)])
    # torchvision's weights of red, green and blue sum to 0.9999 for tensors; ours are Pillow's.
    assert torch.allclose(ours(images, factors), expected, atol=2e-4)
    assert torch.allclose(ours(images, torch.ones(len(images))), images, atol=1e-6)


def test_jitter_changes_each_image_by_its_own_factors(images):
    same = images[:1].expand(40, -1, -1, -1)
    jittered = colour_jitter(same, 0.25, generator(0, "jitter"))
    assert len({image.cpu().numpy().tobytes() for image in jittered}) == 40
    # On a grey image contrast and saturation do nothing: what is left is the brightness.
    grey = torch.full((2000, 3, 4, 4), 0.5)
    brightness = colour_jitter(grey, 0.25, generator(0, "jitter"))[:, 0, 0, 0] / 0.5
    assert brightness.min() >= 0.75 - 1e-6
    assert brightness.max() <= 1.25 + 1e-6
    assert abs(brightness.mean() - 1) < 4 * 0.25 / (3 * 2000) ** 0.5


@pytest.mark.parametrize("degrees", [0.0, 2.0, -2.0, 10.0, 90.0, -90.0, 180.0])
def test_a_rotation_is_torchvisions(images, degrees):
    ours = rotate(images, torch.full((len(images),), degrees))
    theirs = reference.rotate(images, degrees, InterpolationMode.NEAREST)
    # Where a pixel's origin lies between two pixels rounding decides.
    assert (ours != theirs).float().mean() < 0.01
    if degrees % 90 == 0:
        assert torch.equal(ours, torch.rot90(images, round(degrees / 90), (2, 3)))


def test_rotations_stay_within_their_bounds(images):
    still = random_rotation(images, 0.5, generator(0, "rotation"))
    # Half a degree moves the rim of 16 pixels by 0.07 of one.
    assert torch.equal(still, images)
    assert not torch.equal(random_rotation(images, 20.0, generator(0, "rotation")), images)


def test_lighting_shifts_each_image_along_the_axes_and_is_none_on_average():
    grey = torch.full((20_000, 3, 1, 1), 0.5)
    shifts = (random_lighting(grey, 0.05, generator(0, "lighting")) - 0.5).flatten(1).double()
    deviation = shifts.std(0)
    assert (shifts.mean(0).abs() < 4 * deviation / 20_000**0.5).all()
    # Covariance = axes * diag(deviation^2) * axes^T: its eigenvalues are the variances along the axes.
    along = torch.linalg.eigvalsh(torch.cov(shifts.T)).sqrt().flip(0)
    expected = 0.05 * torch.tensor([0.2175, 0.0188, 0.0045], dtype=torch.float64)
    assert torch.allclose(along, expected, rtol=0.05)


def test_augmentation_depends_on_its_generator_only_and_keeps_the_range(images):
    once, again = (augment(images, EVERYTHING, generator(3, "train")) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, augment(images, EVERYTHING, generator(4, "train")))
    assert once.shape == images.shape
    assert once.min() >= 0
    assert once.max() <= 1
    assert torch.equal(augment(images, Augmentation(shift=0), generator(0)), images)


def test_greyscale_digits_can_be_augmented():
    digits = torch.rand(8, 1, 32, 32, generator=generator(0, "digits"))
    settings = Augmentation(shift=2, flip=True, jitter=0.25, rotation=2.0)
    assert augment(digits, settings, generator(0)).shape == digits.shape


def test_the_centre_is_the_middle_square_of_the_scaled_image(photograph):
    whole = to_tensor(photograph)
    assert torch.equal(centre(photograph, 60), whole[:, :, 10:70])
    half = to_tensor(photograph.resize((40, 30), Image.Resampling.BILINEAR))
    assert torch.equal(centre(photograph, 30), half[:, :, 5:35])


def test_photographs_are_scaled_to_256_and_cropped_to_224(photograph):
    scaled = to_tensor(photograph.resize((341, 256), Image.Resampling.BILINEAR))
    assert torch.equal(centre(photograph, 224), scaled[:, 16:240, 58:282])
    square = Image.fromarray(np.zeros((224, 224, 3), dtype=np.uint8))
    assert centre(square, 224).shape == (3, 224, 224)


def test_random_crops_cover_eight_to_a_hundred_percent_of_the_area():
    # Red grows to the right and green downwards: the corners tell which part was cut out.
    down, right = np.mgrid[0:200, 0:250].astype(np.uint8)
    image = Image.fromarray(np.stack([right, down, np.zeros_like(down)], 2))
    shares, aspects = [], []
    for i in range(300):
        crop = random_crop(image, 64, generator(0, "crop", i)).float()
        assert crop.shape == (3, 64, 64)
        width, height = ((crop[c].max() - crop[c].min() + 1) * 64 / 63 for c in (0, 1))
        shares.append(float(width * height) / (200 * 250))
        aspects.append(float(width / height))
    assert 0.06 < min(shares) < 0.15
    assert 0.85 < max(shares) < 1.05
    assert 0.68 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < 1.46


def test_a_strip_from_which_nothing_fits_is_cropped_in_the_middle():
    strip = Image.fromarray(np.zeros((4, 400, 3), dtype=np.uint8))
    assert torch.equal(random_crop(strip, 16, generator(0, "crop")), centre(strip, 16))


def benchmark():
    """`experiments/benchmarks/augmentation.py` as a module."""
    path = ROOT / "experiments" / "benchmarks" / "augmentation.py"
    spec = importlib.util.spec_from_file_location("augmentation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_compares_the_same_images_and_its_table_is_rendered_from_its_record(tmp_path, capsys):
    module = benchmark()
    module.main(tmp_path, count=64, repeats=1, batch_sizes=(16,))
    record = json.loads((tmp_path / "augmentation.json").read_text())
    assert json.loads(capsys.readouterr().out) == record["rows"]
    assert [row["way"] for row in record["rows"]] == [module.RIVAL, module.LOADER, module.FUNCTION]
    assert all(rate > 0 for row in record["rows"] for rate in row["images_per_second"])
    for results in (tmp_path, module.OUT):
        if (results / "augmentation.json").is_file():
            kept = json.loads((results / "augmentation.json").read_text())
            assert (results / "augmentation.md").read_text() == module.render(kept)
    assert "| 16 | batched, the function alone | " in (tmp_path / "augmentation.md").read_text()


def test_all_ways_of_the_benchmark_give_as_many_images_of_the_same_kind():
    module = benchmark()
    pixels = torch.randint(0, 256, (50, 3, 32, 32), dtype=torch.uint8, generator=generator(0, "pixels"))
    images = MemoryImages("random", pixels, torch.arange(50) % 10, [str(digit) for digit in range(10)])
    for epoch in module.ways(images, 16).values():
        batches = list(epoch())
        assert [batch.shape for batch in batches] == [(16, 3, 32, 32)] * 3
        assert all(batch.dtype == torch.float32 for batch in batches)
        assert all(0 <= batch.min() < 0.1 and 0.9 < batch.max() <= 1 for batch in batches)
