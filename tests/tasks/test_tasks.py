"""Each task says what the paper says; an image depends on (seed, its number) only."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.morphology import skeletonize
from torch.nn.functional import cross_entropy

from made import counted_passes
from robsynth.classifiers import Ensemble, build_classifier
from robsynth.config import PaintingStage
from robsynth.config.compose import load_config
from robsynth.data import MemoryImages
from robsynth.errors import RequestError
from robsynth.randomness import generator
from robsynth.samples import to_uint8
from robsynth.tasks import POSE, ClassGaussians, LowRankGaussians, Synthesis, block_upsample
from robsynth.tasks.inpainting import visible_mean
from robsynth.tasks.originals import Originals, from_data_set
from robsynth.tasks.synthesis import passes
from robsynth.tasks.synthesis import stages as two_stages

CONFIG = load_config("synthesize", [])


@pytest.fixture
def network(device):
    return build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3]).eval().to(device)


@pytest.fixture
def synthesis(network, digits):
    def make(task, **changes):
        settings = load_config("synthesize", [f"tasks.{task}.{key}={value}" for key, value in changes.items()])
        names = digits.label_names
        generates = task == "generation"
        return Synthesis(
            task, settings.tasks[task], network, names, digits.shape, seed=7, precision="fp32",
            originals=None if generates else from_data_set(digits.test, names),
            seeds=ClassGaussians(digits.train) if generates else None,
        )  # fmt: skip

    return make


def pixels_of(images):
    return to_uint8(images).cpu().numpy()


def test_generation_starts_from_seeds_of_the_label_and_climbs_the_likelihood(synthesis, network, digits):
    problem = synthesis("generation").pose(torch.arange(10))
    assert problem.wanted.tolist() == list(range(10))
    assert problem.original is None
    expected = -cross_entropy(network(problem.start), problem.wanted, reduction="none")
    torch.testing.assert_close(problem.objective(problem.start), expected)
    seeds = ClassGaussians(digits.train)
    again = seeds.draw(problem.wanted, [generator(7, "image", i) for i in range(10)])
    torch.testing.assert_close(problem.start, again)


def test_inpainting_fills_the_hole_with_the_mean_and_charges_for_the_rest(synthesis, network, digits, device):
    problem = synthesis("inpainting", hole=12, penalty=10).pose(torch.arange(6))
    images, labels = (part.to(device) for part in digits.test.take(range(6)))
    mask = problem.mask.bool()
    assert mask.flatten(1).sum(1).tolist() == [144] * 6
    assert len({tuple(row.nonzero()[0].tolist()) for row in mask[:, 0]}) > 1
    assert torch.equal(problem.start[~mask], images[~mask])
    for start, image, hole in zip(problem.start, images, mask, strict=True):
        assert torch.allclose(start[hole], image.mean())
    x = torch.rand(6, 1, 32, 32, device=device)
    charge = (((problem.start - x) * (1 - problem.mask)) ** 2).flatten(1).mean(1)
    expected = -cross_entropy(network(x), labels, reduction="none") - 10 * charge
    torch.testing.assert_close(problem.objective(x), expected)


def test_the_mean_under_a_users_mask_is_that_of_what_is_visible(synthesis, digits, device):
    """By hand: 0.2 is visible in three quarters of the first image; junk hides the rest, and all of the second."""
    images = torch.full((2, 1, 32, 32), 51, dtype=torch.uint8)
    images[0, :, :16, :16] = 255
    images[1, :, :16] = 255
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, :16, :16], masks[1] = 1, 1
    users = Originals(MemoryImages("inputs", images, torch.tensor([3, 4]), digits.label_names), torch.tensor([3, 4]))
    problem = replace(synthesis("inpainting"), originals=replace(users, masks=masks)).pose(torch.arange(2))
    torch.testing.assert_close(problem.start[0], torch.full((1, 32, 32), 0.2, device=device))
    torch.testing.assert_close(problem.start[1], torch.full((1, 32, 32), 0.6, device=device))
    whole = replace(synthesis("inpainting", hole=32), originals=users).pose(torch.arange(2))
    torch.testing.assert_close(whole.start[0], torch.full((1, 32, 32), 0.4, device=device))


def test_each_channels_mean_is_its_own():
    images = torch.stack([torch.full((4, 4), value) for value in (0.1, 0.5, 0.9)])[None]
    images[:, :, 0] = 1
    m = torch.zeros(1, 1, 4, 4)
    m[:, :, 0] = 1
    assert visible_mean(images, m).flatten().tolist() == pytest.approx([0.1, 0.5, 0.9])


@pytest.mark.parametrize("keep", ["best", "last"])
def test_passes_are_those_that_are_made(keep, synthesis, network):
    """Counted where images enter the network and where gradients leave it."""
    stages = [PaintingStage(unit=3), PaintingStage(unit=4)]
    one = synthesis("feature_painting", steps=3, keep=keep)
    this = replace(one, settings=replace(one.settings, stages=stages))
    counted = counted_passes(network)
    this.run(torch.arange(4))
    assert counted == [passes(this.settings, 4)]
    assert passes(this.settings, 4) == 2 * passes(one.settings, 4)


def test_translation_wants_another_class_and_starts_at_the_image(synthesis, digits, device):
    problem = synthesis("translation").pose(torch.arange(200))
    images, labels = (part.to(device) for part in digits.test.take(range(200)))
    assert torch.equal(problem.start, images)
    assert not (problem.wanted == labels).any()
    assert len(set(((problem.wanted - labels) % 10).tolist())) == 9


def test_super_resolution_starts_from_blocks_of_averages(synthesis, digits, device):
    problem = synthesis("super_resolution", factor=4).pose(torch.arange(3))
    images, labels = (part.to(device) for part in digits.test.take(range(3)))
    blocks = images.view(3, 1, 8, 4, 8, 4).mean((3, 5))
    torch.testing.assert_close(problem.start, blocks.repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert torch.equal(problem.wanted, labels)
    assert torch.equal(problem.original, images)


def test_a_sketch_is_the_thinned_stroke(synthesis, digits, device):
    problem = synthesis("sketch_to_image", threshold=0.3).pose(torch.arange(3))
    images, _ = (part.to(device) for part in digits.test.take(range(3)))
    for sketch, image in zip(problem.start, images, strict=True):
        assert np.array_equal(sketch[0].cpu().numpy(), skeletonize(image[0].cpu().numpy() > 0.3))


def test_painting_raises_a_unit_and_charges_for_the_rest(synthesis, network, digits, device):
    problem = synthesis("feature_painting", unit=5, weight=0.1, penalty=90).pose(torch.arange(4))
    images, _ = (part.to(device) for part in digits.test.take(range(4)))
    assert torch.equal(problem.start, images)
    x = torch.rand(4, 1, 32, 32, device=device)
    charge = (((images - x) * (1 - problem.mask)) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(problem.objective(x), 0.1 * network.representation(x)[:, 5] - 90 * charge)
    with pytest.raises(RequestError, match="allowed: 0 to 15"):
        synthesis("feature_painting", unit=16).pose(torch.arange(1))


def test_without_a_unit_painting_takes_the_one_that_speaks_most_for_the_wanted_class(synthesis, network, device):
    problem = synthesis("feature_painting", penalty=0, weight=1).pose(torch.arange(4))
    x = torch.rand(4, 1, 32, 32, device=device)
    units = network.head.weight[problem.wanted].argmax(1)
    torch.testing.assert_close(problem.objective(x), network.representation(x)[torch.arange(4), units])


@pytest.mark.slow
def test_seeds_have_the_class_mean_and_covariance(digits):
    seeds = ClassGaussians(digits.train, pool=4)
    pixels = torch.nn.functional.avg_pool2d(digits.train.pixels(digits.train.of_class(3)).double() / 255, 4).flatten(1)
    draws = seeds.draw(torch.full((4000,), 3), [generator(0, i) for i in range(4000)])
    small = draws[:, 0, ::4, ::4].flatten(1).double()
    # The clamp to [0, 1] moves dark and bright pixels: those in between keep mean and covariance.
    free = (pixels.mean(0) - 3 * pixels.std(0) > 0) & (pixels.mean(0) + 3 * pixels.std(0) < 1)
    middle = free if free.sum() > 1 else pixels.std(0).argsort()[-4:]
    unclamped = torch.stack(
        [
            _unclamped(seeds, 3, generator(1, i))
            for i in range(4000)
        ]
    )  # fmt: skip
    expected = pixels.T.cov(correction=0) + 1e-4 * torch.eye(64)
    torch.testing.assert_close(unclamped.mean(0), pixels.mean(0), rtol=0, atol=0.02)
    torch.testing.assert_close(unclamped.T.cov(), expected, rtol=0, atol=0.012)
    assert small[:, middle].min() >= 0
    assert torch.equal(draws, block_upsample(draws[:, :, ::4, ::4], 4))


def _unclamped(seeds, label, noise):
    mean, factor = seeds._fit(label)
    z = torch.randn(len(factor), generator=noise)
    return (mean + z @ factor + 0.01 * torch.randn(len(mean), generator=noise)).double()


@pytest.mark.parametrize("pool", [1, 4])
def test_a_factor_is_the_covariance_with_few_images_as_with_many(digits, pool):
    seeds = ClassGaussians(digits.train, pool)
    mean, factor = seeds._fit(3)
    images = digits.train.pixels(digits.train.of_class(3)).double() / 255
    pixels = torch.nn.functional.avg_pool2d(images, pool).flatten(1)
    assert len(factor) == min(len(pixels), pixels.shape[1])
    torch.testing.assert_close(mean.double(), pixels.mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close((factor.T @ factor).double(), pixels.T.cov(correction=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [256, 40])
def test_seeds_of_low_rank_keep_the_mean_the_variance_and_the_covariance_in_their_basis(digits, rank):
    exact = ClassGaussians(digits.train, 2)
    kept = LowRankGaussians.from_tensors(exact.low_rank(rank).tensors())
    assert (kept.shape, kept.pool) == ((1, 16, 16), 2)
    mean, factor = exact._fit(4)
    covariance = (factor.T @ factor).double() + 1e-4 * torch.eye(256)
    factor = (kept.factors[4].float() @ kept.basis.float()).double()
    approximation = factor.T @ factor + kept.deviations[4].double() ** 2 * torch.eye(256)
    torch.testing.assert_close(kept.means[4].float(), mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(approximation.trace(), covariance.trace(), rtol=2e-3, atol=0)
    basis = kept.basis.double()
    within = basis @ (approximation - covariance) @ basis.T
    assert within.abs().max() < 0.01 + kept.deviations[4] ** 2
    if rank == 256:
        torch.testing.assert_close(approximation, covariance, rtol=0, atol=2e-3)
    first, second = (kept.draw(torch.tensor([4]), [generator(0, 1)]) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (1, 1, 32, 32)


def test_seeds_do_not_depend_on_their_batch_in_any_bit(digits):
    seeds = ClassGaussians(digits.train, 2)
    together = seeds.draw(torch.arange(10), [generator(0, i) for i in range(10)])
    assert torch.equal(together[3], seeds.draw(torch.tensor([3]), [generator(0, 3)])[0])


@pytest.mark.parametrize("task", POSE)
def test_an_image_depends_on_its_number_only(task, synthesis):
    """Promise 1: neither on what else is in the batch, nor on its size, nor on its place in it."""
    this = synthesis(task, steps=8)
    _, together = this.run(torch.arange(7))
    _, alone = this.run(torch.tensor([5]))
    _, turned = this.run(torch.tensor([6, 5, 2]))
    expected = pixels_of(together).astype(int)
    assert np.abs(pixels_of(alone)[0] - expected[5]).max() <= 1
    assert np.abs(pixels_of(turned) - expected[[6, 5, 2]]).max() <= 1
    assert not np.array_equal(expected[5], expected[6])


@pytest.mark.parametrize("task", POSE)
def test_a_batch_that_is_made_again_is_the_same_to_the_bit(task, synthesis):
    """Promise 2: as after a run that was killed."""
    this = synthesis(task, steps=4)
    (_, once), (_, again) = (this.run(torch.arange(6)) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize("task", POSE)
def test_where_images_start_does_not_depend_on_what_the_network_computes_in(task, synthesis):
    this = synthesis(task, steps=1)
    exact, coarse = this.run(torch.arange(6))[0], replace(this, precision="bf16").run(torch.arange(6))[0]
    assert coarse.start.dtype == torch.float32
    assert torch.equal(exact.start, coarse.start)


@pytest.mark.parametrize("task", POSE)
def test_results_are_images_inside_the_ball(task, synthesis):
    this = synthesis(task, eps=2, steps=30)
    problem, result = this.run(torch.arange(3))
    assert result.shape == problem.start.shape == (3, 1, 32, 32)
    assert 0 <= result.min() <= result.max() <= 1
    assert (result - problem.start).flatten(1).norm(dim=1).max() <= 2 + 1e-4
    assert (problem.objective(result) >= problem.objective(problem.start) - 1e-5).all()


def test_noise_moves_the_start_and_not_the_ball(synthesis):
    this = synthesis("translation", noise=0.1, steps=1, step_size=1e-6, keep="last", eps=100)
    problem, result = this.run(torch.arange(4))
    moved = (result - problem.start).flatten(1).std(dim=1)
    assert ((moved > 0.02) & (moved < 0.12)).all()
    _, again = this.run(torch.tensor([2]))
    torch.testing.assert_close(again[0], result[2], atol=1e-5, rtol=0)
    _, small = synthesis("translation", noise=0.1, steps=1, eps=0.5).run(torch.arange(4))
    assert (small - problem.start).flatten(1).norm(dim=1).max() <= 0.5 + 1e-4


def test_stages_are_painted_one_on_the_other(synthesis, network, digits, device):
    """Each stage starts at what the one before left, in its own mask, and is charged for the rest."""
    one = synthesis("feature_painting", steps=5, penalty=1e6, patch=10)
    names = {"unit": 3}, {"target": "7"}
    stages = [PaintingStage(**name) for name in names]
    two = replace(one, settings=replace(one.settings, stages=stages))
    problem, result = two.run(torch.arange(3))
    first, middle = replace(one, settings=replace(one.settings, unit=3)).run(torch.arange(3))
    assert torch.equal(problem.start, first.start)
    second = two.pose(torch.arange(3), two_stages(two.settings)[1], 1, middle)
    assert torch.equal(second.start, middle)
    assert second.wanted.tolist() == [7, 7, 7]
    assert torch.equal(problem.mask, torch.maximum(first.mask, second.mask))
    x = torch.rand(3, 1, 32, 32, device=device)
    charge = (((middle - x) * (1 - second.mask)) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(second.objective(x), 0.3 * network(x)[:, 7] - 1e6 * charge)
    assert ((result - problem.start).abs() * (1 - problem.mask)).max() < 0.05


def test_several_classifiers_vote_on_where_an_image_moves(synthesis, network, device):
    other = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3], seed=5).eval().to(device)
    this = replace(synthesis("translation"), network=Ensemble([network, other]))
    problem = this.pose(torch.arange(4))
    x = torch.rand(4, 1, 32, 32, device=device)
    expected = -cross_entropy((network(x) + other(x)) / 2, problem.wanted, reduction="none")
    torch.testing.assert_close(problem.objective(x), expected)


def test_more_images_than_held_out_digits_come_round_again_with_other_noise(synthesis):
    problem = synthesis("generation").pose(torch.tensor([3, 1003]))
    assert problem.wanted[0] == problem.wanted[1]
    assert not torch.equal(problem.start[0], problem.start[1])
