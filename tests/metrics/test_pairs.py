"""Figures of pairs against the libraries that define them, and what anyone would try first."""

import numpy as np
import pytest
import torch
from torchvision.models import alexnet

from robsynth.errors import RequestError
from robsynth.machine import CPU
from robsynth.metrics import classical, pairs


def pair(channels, size=32, seed=0):
    """Four images, and the same with noise that differs in strength."""
    random = np.random.default_rng(seed)
    a = random.integers(0, 256, (4, size, size, channels), dtype=np.uint8)
    noise = random.normal(0, 1, a.shape) * np.array([3, 10, 30, 60])[:, None, None, None]
    return a, np.clip(a + noise, 0, 255).astype(np.uint8)


def squares(shape, side=8):
    """A mask of a square in the corner that is next to the origin."""
    mask = np.zeros(shape, np.uint8)
    mask[:, :side, :side] = 255
    return mask


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_that_of_each_pair(channels):
    from skimage.metrics import peak_signal_noise_ratio

    a, b = pair(channels)
    expected = [peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(pairs.psnr_each(a, b), expected)
    assert np.isposinf(pairs.psnr_each(a, a)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_each_pair(channels):
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = pair(channels)
    x, y = (torch.from_numpy(part).permute(0, 3, 1, 2).double() / 255 for part in (a, b))
    expected = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    np.testing.assert_allclose(pairs.ssim_each(a, b), expected, atol=1e-9)
    np.testing.assert_allclose(pairs.ssim_each(a, a), 1)


@pytest.mark.parametrize("measure", [pairs.psnr_each, pairs.ssim_each])
def test_a_mask_leaves_what_is_in_it(measure):
    a, b = pair(3)
    mask = squares((4, 32, 32, 1))
    np.testing.assert_allclose(measure(a, b, np.ones_like(a)), measure(a, b))
    np.testing.assert_array_equal(measure(a, b, mask), measure(a, b, mask.repeat(3, 3) > 0))
    changed = np.where(mask > 0, b, a)
    assert (measure(changed, a, mask) < measure(changed, a)).all()
    assert np.isnan(measure(a, b, np.zeros_like(mask))).all()


def test_psnr_in_a_mask_is_that_of_the_part_cut_out():
    a, b = pair(3)
    np.testing.assert_allclose(
        pairs.psnr_each(a, b, squares((4, 32, 32, 1))), pairs.psnr_each(a[:, :8, :8], b[:, :8, :8])
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Torch hub's directory, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    directory = tmp_path / "hub" / "checkpoints"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def lpips(hub, device):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(alexnet(weights=None).state_dict(), hub / pairs.ALEXNET)
    return pairs.open_lpips(device)


def test_lpips_is_torchmetrics_on_the_same_weights(lpips):
    from torchmetrics.functional.image.lpips import _LPIPS

    # Pretrained is AlexNet there too, from the same file.
    theirs = _LPIPS(net="alex")
    a, b = pair(3, size=40)
    x, y = (torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255 for part in (a, b))
    expected = theirs(x, y, normalize=True).ravel()
    found = pairs.lpips_each(lpips, a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (np.diff(found) > 0).all()
    assert len(lpips.digest) == 12


def test_lpips_repeats_grey_and_is_nothing_for_a_copy(lpips):
    a, b = pair(1)
    grey = pairs.lpips_each(lpips, a, b)
    np.testing.assert_allclose(grey, pairs.lpips_each(lpips, a.repeat(3, 3), b.repeat(3, 3)), rtol=1e-4)
    assert (pairs.lpips_each(lpips, a, a) == 0).all()


def test_lpips_in_a_mask_does_not_see_what_is_outside(lpips, monkeypatch):
    a, b = pair(3)
    mask = squares((4, 32, 32, 1))
    expected = pairs.lpips_each(lpips, np.where(mask > 0, a, b), b)
    np.testing.assert_array_equal(pairs.lpips_each(lpips, a, b, mask), expected)
    mask[2] = 0
    assert np.isnan(pairs.lpips_each(lpips, a, b, mask)).tolist() == [False, False, True, False]
    monkeypatch.setattr(pairs, "BATCH", 3)
    np.testing.assert_allclose(pairs.lpips_each(lpips, a, b, mask)[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-5)


def test_lpips_works_from_31_pixels_and_says_so(lpips):
    a, b = pair(3, size=31)
    assert (pairs.lpips_each(lpips, a, b) > 0).all()
    with pytest.raises(pairs.TooSmall, match="found images of 30x30 pixels, allowed: at least 31"):
        pairs.lpips_each(lpips, a[:, 1:, 1:], b[:, 1:, 1:])


def test_lpips_without_alexnet_says_where_to_put_it(hub):
    with pytest.raises(RequestError, match=rf"no file {hub}/alexnet-owt-7be5be79\.pth.*https://"):
        pairs.open_lpips(CPU)
    assert list(hub.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"a": torch.zeros(1)}, [1]])
def test_lpips_refuses_what_is_not_alexnet(hub, content):
    path = hub / pairs.ALEXNET
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(RequestError, match=r"alexnet-owt-7be5be79\.pth: not torchvision's AlexNet"):
        pairs.open_lpips(CPU)


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_of_one_colour_is_that_colour(channels):
    one = np.full((2, 32, 32, channels), 77, np.uint8)
    assert np.array_equal(classical.bicubic(one, 4), one)


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_is_nearer_to_a_smooth_image_than_its_blocks_are(channels):
    rows, columns = np.mgrid[:32, :32]
    smooth = 127 + 60 * np.sin(rows / 6) + 50 * np.cos(columns / 5)
    # The colour of a block is its mean, as in the task.
    few = smooth.reshape(8, 4, 8, 4).mean((1, 3)).round().astype(np.uint8)
    start = few.repeat(4, 0).repeat(4, 1)[None, :, :, None].repeat(channels, 3)
    original = smooth.round().astype(np.uint8)[None, :, :, None].repeat(channels, 3)
    found = classical.bicubic(start, 4)
    assert (found.shape, found.dtype) == (start.shape, np.uint8)
    assert pairs.psnr_each(found, original) > pairs.psnr_each(start, original) + 5


def ramps(channels):
    """Images that grow evenly from one side to the other, differently in each channel."""
    rows, columns = np.mgrid[:32, :32]
    planes = [3 * rows + 2 * columns, 4 * columns, 200 - 5 * rows][:channels]
    return np.stack(planes, -1)[None].repeat(2, 0).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_ramp_with_a_hole_is_restored(channels):
    original = ramps(channels)
    mask = np.zeros((2, 32, 32, 1), np.uint8)
    mask[:, 10:20, 8:18] = 255
    start = np.where(mask > 0, 0, original).astype(np.uint8)
    kept = start.copy()
    found = classical.biharmonic(start, mask)
    assert np.abs(found.astype(int) - original).max() <= 1
    assert np.array_equal(found[:, :10], original[:, :10])
    assert np.array_equal(start, kept)


def test_images_without_a_hole_or_all_hole_stay_as_they_are():
    start = ramps(3)
    mask = np.zeros((2, 32, 32, 3), np.uint8)
    mask[1] = 1
    assert np.array_equal(classical.biharmonic(start, mask), start)
