"""The primitive: closed forms, properties, parity with the authors' library, and the state it leaves behind."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from harness import FIXTURES
from robsynth.ascent import (
    L2,
    Linf,
    Unconstrained,
    ascend,
    constraint,
    frozen,
    mean_square,
    passes,
    towards,
    unit,
)
from robsynth.ascent.objectives import OBJECTIVES
from robsynth.errors import RequestError
from robsynth.machine import arithmetic
from robsynth.randomness import generator

STORED = np.load(FIXTURES / "robustness_l2.npz")


def norms(x):
    return x.flatten(1).norm(dim=1)


def test_a_linear_objective_is_climbed_to_the_edge_of_the_ball(device):
    start = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64, device=device)
    slope = torch.randn(3, 1, 4, 4, generator=generator(0, "slope"), dtype=torch.float64).to(device)
    found = ascend(lambda x: (slope * x).flatten(1).sum(1), start, L2(0.4), steps=10, step_size=0.1, keep="last")
    expected = start + 0.4 * slope / norms(slope).view(-1, 1, 1, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_one_step_of_each_norm_is_the_formula(device):
    start = torch.full((2, 1, 2, 2), 0.5, dtype=torch.float64, device=device)
    slope = torch.tensor([[[[3.0, -4.0], [0.0, 0.0]]], [[[0.0, 0.1], [0.0, 0.0]]]], dtype=torch.float64).to(device)

    def objective(x):
        return (slope * x).flatten(1).sum(1)

    def moved(ball, size):
        return ascend(objective, start, ball, 1, size, keep="last") - start

    torch.testing.assert_close(moved(L2(9), 0.1), 0.1 * slope / norms(slope).view(-1, 1, 1, 1))
    torch.testing.assert_close(moved(Linf(9), 0.1), 0.1 * slope.sign())
    torch.testing.assert_close(moved(Unconstrained(), 0.01), 0.01 * slope)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_l2_steps_equal_the_authors_library(targeted, keep, device):
    network = nn.Sequential(
        nn.Identity(), nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 8 * 8, 5)
    ).double()
    network.load_state_dict({n[8:]: torch.from_numpy(STORED[n]) for n in STORED.files if n.startswith("weights_")})
    network = network.to(device)
    statistics = torch.tensor([[0.4, 0.5, 0.6], [0.2, 0.25, 0.3]], dtype=torch.float64, device=device)
    mean, std = statistics.view(2, 1, 3, 1, 1)
    images, labels = (torch.from_numpy(STORED[name]).to(device) for name in ("images", "labels"))

    def objective(x):
        loss = cross_entropy(network((x - mean) / std), labels, reduction="none")
        return -loss if targeted else loss

    found = ascend(objective, images, L2(1.0), steps=12, step_size=0.3, keep=keep)
    expected = STORED[f"{'targeted' if targeted else 'untargeted'}_{keep}"]
    assert np.abs(found.cpu().numpy() - expected).max() < 1e-9


@given(
    norm=st.sampled_from(["l2", "linf"]),
    eps=st.floats(0, 5),
    steps=st.integers(0, 6),
    step_size=st.floats(0.01, 3),
    keep=st.sampled_from(["best", "last"]),
    random=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_images_stay_in_the_ball_and_in_the_box(norm, eps, steps, step_size, keep, random, seed):
    noise = generator(seed, "images")
    start, slope = torch.rand(2, 2, 1, 5, 5, generator=noise).unbind(0)
    found = ascend(
        lambda x: torch.sin(7 * slope * x).flatten(1).sum(1), start, constraint(norm, eps), steps, step_size, keep,
        generator=noise if random else None,
    )  # fmt: skip
    assert found.min() >= 0
    assert found.max() <= 1
    distance = norms(found - start) if norm == "l2" else (found - start).abs().flatten(1).amax(1)
    assert distance.max() <= eps + 1e-5
    assert not found.requires_grad


@given(seed=st.integers(0, 1000), steps=st.integers(1, 8), step_size=st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_the_best_iterate_is_never_worse_than_start_or_last(seed, steps, step_size):
    start, slope = torch.rand(2, 3, 1, 4, 4, generator=generator(seed, "images")).unbind(0)

    def objective(x):
        return torch.sin(9 * slope * x).flatten(1).sum(1)

    best, last = (ascend(objective, start, L2(3), steps, step_size, keep) for keep in ("best", "last"))
    assert (objective(best) >= objective(start)).all()
    assert (objective(best) >= objective(last)).all()


def test_a_samples_path_does_not_depend_on_its_batch(network, device):
    network = network.to(device)
    images = torch.rand(5, 1, 32, 32, generator=generator(0, "images")).to(device)
    labels = torch.arange(5, device=device)

    def path(rows):
        with frozen(network):
            return ascend(lambda x: towards(network(x), labels[rows]), images[rows], L2(3), 5, 0.3)

    together = path(torch.arange(5))
    alone = torch.cat([path(torch.tensor([row])) for row in range(5)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


def test_one_generator_a_sample_gives_each_its_own_random_start():
    start = torch.full((3, 1, 4, 4), 0.5)

    def begin(names):
        return L2(0.3).random(start[: len(names)], [generator(0, name) for name in names])

    assert torch.equal(begin([0, 1, 2])[1], begin([1])[0])
    assert not torch.equal(begin([0, 1, 2])[1], begin([0, 1, 2])[2])
    torch.testing.assert_close(norms(begin([0, 1, 2]) - start[:3]), torch.full((3,), 0.3))


def test_the_observer_sees_every_iterate_and_its_value():
    seen = []
    start = torch.zeros(1, 1, 1, 1)
    ascend(lambda x: x.flatten(1).sum(1), start, L2(9), 3, 0.25, "best", on_step=lambda i, x, v: seen.append((i, x, v)))
    assert [i for i, _, _ in seen] == [0, 1, 2, 3]
    assert [round(x.item(), 6) for _, x, _ in seen] == [0, 0.25, 0.5, 0.75]
    assert all(torch.equal(x.flatten(), values) for _, x, values in seen)


def test_another_centre_holds_the_ball():
    centre = torch.zeros(1, 1, 2, 2)
    found = ascend(lambda x: x.flatten(1).sum(1), torch.full_like(centre, 0.9), L2(0.5), 5, 0.1, "last", centre=centre)
    assert norms(found).item() == pytest.approx(0.5, abs=1e-6)


def test_frozen_restores_what_it_found(network):
    network.train()
    network.features[1].eval()
    network.head.bias.requires_grad_(False)
    wanted = [p.requires_grad for p in network.parameters()]
    modes = [m.training for m in network.modules()]

    def fails_inside():
        with frozen(network):
            assert not any(m.training for m in network.modules())
            assert not any(p.requires_grad for p in network.parameters())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fails_inside()
    assert [p.requires_grad for p in network.parameters()] == wanted
    assert [m.training for m in network.modules()] == modes


def test_batch_statistics_do_not_move_while_an_image_does(network, device):
    network.to(device).train()
    before = network.features[1].running_mean.clone()
    with frozen(network):
        ascend(lambda x: network(x)[:, 0], torch.rand(4, 1, 32, 32, device=device), L2(1), 3, 0.3)
    assert torch.equal(network.features[1].running_mean, before)
    assert all(p.grad is None for p in network.parameters())


def test_objectives_are_one_value_a_sample():
    logits = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    labels = torch.tensor([1, 0])
    expected = -cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(towards(logits, labels), expected)
    assert towards(logits, labels, "logit").tolist() == [3, 0]
    assert unit(logits, torch.tensor([0, 1])).tolist() == [1, 0]
    assert mean_square(torch.tensor([[[[1.0, 3.0]]], [[[2.0, 0.0]]]])).tolist() == [5, 2]
    with pytest.raises(RequestError, match="cross_entropy, logit"):
        towards(logits, labels, "margin")


def test_an_unknown_norm_is_refused():
    with pytest.raises(RequestError, match="norm: found 'l1', allowed: l2, linf, none"):
        constraint("l1", 1)


def test_what_to_keep_is_best_or_last():
    with pytest.raises(RequestError, match="keep: found 'first', allowed: best, last"):
        ascend(lambda x: x.flatten(1).sum(1), torch.zeros(1, 1, 1, 1), L2(1), 1, 0.1, keep="first")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_passes_are_those_that_an_ascent_makes(keep):
    """Forward by whoever calls the objective, backward by the hook of what it computed."""
    made = []

    def objective(x):
        made.append("forward")
        values = x.flatten(1).sum(1)
        if values.requires_grad:
            values.register_hook(lambda _: made.append("backward"))
        return values

    ascend(objective, torch.zeros(1, 1, 1, 1), L2(1), 4, 0.1, keep)
    assert len(made) == passes(4, keep)


class Coarse(nn.Module):
    """A linear layer, which autocast computes in bfloat16."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_objectives_are_compared_in_float32_whatever_the_network_computes_in(device):
    network, labels = Coarse().to(device), torch.tensor([0, 1], device=device)
    x, seen = torch.rand(2, 1, 2, 2, generator=generator(0)).to(device), []
    with arithmetic("bf16", device):
        logits = network(x)
        assert logits.dtype == torch.bfloat16
        for kind in OBJECTIVES:
            assert towards(logits, labels, kind).dtype == torch.float32
        assert unit(logits, labels).dtype == mean_square(logits).dtype == torch.float32
        ascend(lambda x: network(x)[:, 0], x, L2(1), 2, 0.1, on_step=lambda *step: seen.append(step))
    assert {values.dtype for *_, values in seen} == {torch.float32}


def test_what_a_coarse_value_would_swallow_decides_which_iterate_is_best(device):
    """256 + 0.5 is 256 in bfloat16."""
    start = torch.zeros(1, 1, 1, 1, device=device)

    def objective(x):
        score = unit((0 * x.flatten(1) + 256).bfloat16(), torch.zeros(1, dtype=torch.int64, device=device))
        return score + mean_square((x + 0.5).bfloat16())

    assert ascend(objective, start, L2(1), 3, 0.25).item() == pytest.approx(0.75)
    seen = []
    ascend(objective, start, L2(1), 3, 0.25, on_step=lambda i, x, values: seen.append(values.item()))
    assert seen == pytest.approx([256 + (0.5 + 0.25 * i) ** 2 for i in range(4)])
