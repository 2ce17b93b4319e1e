"""Accuracy under attack: what no attack can do, what restarts and AutoAttack add, and the command line."""

import copy
import json
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robsynth.ascent import L2
from robsynth.ascent.attack import attack
from robsynth.classifiers import build_classifier
from robsynth.config import ATTACK, Metrics
from robsynth.config.compose import load_config
from robsynth.data import DataSet, images
from robsynth.errors import RequestError
from robsynth.machine import CPU
from robsynth.metrics.accuracy import Threat, accuracy_passes, measure_accuracy, named_threat
from robsynth.metrics.robustness import Ball, members_for, parse_attack, recognised, withstood


@pytest.fixture(scope="module")
def trained(digits):
    """A small network that learned from digits which a step had moved: it withstands some attacks."""
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3], 0)
    optimiser, (x, y) = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9), digits.train.take(range(4000))
    for number in range(60):
        rows = torch.arange(64) + 64 * number
        moved = attack(network.train(), x[rows], y[rows], L2(1.5), 1, 1.5, "last")
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(moved), y[rows]).backward()
        optimiser.step()
    return network.eval()


@pytest.fixture
def robust(trained, device):
    return copy.deepcopy(trained).to(device)


@pytest.fixture
def under(robust, digits, tmp_path):
    """The first digits that a classifier still recognises under the attack of this name."""

    def right(name, ball, count=40, network=robust, seed=0, kept="kept"):
        few = digits.test.head(count)
        place = tmp_path / kept / f"{name}-{ball.norm}-{ball.eps}-{count}"
        return withstood(network, few, parse_attack(name), ball, seed, place).right

    return right


def test_accuracy_without_an_attack_counts(robust, digits, device):
    x, labels = digits.test.take(range(300))
    expected = robust(x.to(device)).argmax(1).cpu() == labels
    assert torch.equal(recognised(robust, digits.test.head(300)).right, expected)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_ball_without_a_radius_takes_nothing(robust, digits, under, norm):
    clean = recognised(robust, digits.test.head(40)).right
    assert clean.any()
    assert not clean.all()
    assert torch.equal(under("pgd3x2", Ball(norm, 0)), clean)


@pytest.mark.parametrize("ball", [Ball("l2", 1.5), Ball("linf", 0.1)])
def test_a_restart_only_takes(robust, digits, under, ball):
    """An image is lost once any start leads to another class."""
    clean = recognised(robust, digits.test.head(100)).right
    counts = [clean] + [under(f"pgd3x{restarts}", ball, 100) for restarts in (1, 2, 4)]
    for before, after in pairwise(counts):
        assert not (after & ~before).any()
    assert counts[-1].sum() < counts[0].sum()
    assert torch.equal(under("pgd3", ball, 100), counts[1])


def test_pgd_does_not_depend_on_how_many_are_attacked_at_a_time(under, monkeypatch):
    ball = Ball("l2", 1.5)
    together = under("pgd3x2", ball)
    assert 0 < together.sum() < 40
    monkeypatch.setattr(images, "CHUNK", 7)
    assert torch.equal(under("pgd3x2", ball, kept="apart"), together)
    assert torch.equal(under("pgd3x2", ball, count=11, kept="fewer"), together[:11])


def test_what_is_lost_is_not_attacked_again(under):
    class Never(torch.nn.Module):
        classes, seen, device = 10, 0, CPU

        def forward(self, x):
            self.seen += len(x)
            return x.flatten(1)[:, :10] * 0 - torch.arange(10.0)

    never = Never()
    right = under("pgd5x3", Ball("l2", 1), count=30, network=never)
    # It says 0 to everything, whatever an attack does: zeros stay, and are seen in every pass; others once.
    zeros = int(right.sum())
    assert 0 < zeros < 30
    assert never.seen == 30 + zeros * 3 * (5 + 1 + 1)


def test_finished_chunks_are_kept_and_the_others_made_again(under, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "CHUNK", 10)
    whole = under("pgd3", Ball("l2", 1.5))
    files = sorted((tmp_path / "kept").rglob("*.json"))
    assert [file.name for file in files] == ["00000.json", "00001.json", "00002.json", "00003.json"]
    files[1].unlink()
    marked = json.loads(files[2].read_text())
    marked["right"] = [1 - value for value in marked["right"]]
    files[2].write_text(json.dumps(marked))
    again = under("pgd3", Ball("l2", 1.5))
    assert torch.equal(again[:20], whole[:20])
    assert torch.equal(again[20:30], ~whole[20:30])


@pytest.mark.parametrize("ball", [Ball("l2", 1.5), Ball("linf", 0.1)])
def test_autoattack_takes_what_pgd_takes_and_more(under, ball):
    """Not a single image more may be left: on this network gradients lead where they should."""
    pgd, ensemble = under("pgd20", ball, 8), under("autoattack", ball, 8)
    assert not (ensemble & ~pgd).any()
    assert 0 < ensemble.sum() < 8


def test_autoattack_draws_from_the_seed_alone(under, tmp_path):
    ball = Ball("l2", 3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = under("autoattack", ball, 12)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(under("autoattack", ball, 12, kept="again"), first)


def test_autoattack_needs_four_classes_for_one_of_its_members():
    assert members_for(10) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert members_for(3) == members_for(2) == ["apgd-ce", "fab-t", "square"]
    described = parse_attack("autoattack").describe("l2", 2)
    assert "APGD-T" not in described["attack"]
    assert described["library"].startswith("pyautoattack ")


@given(st.integers(1, 10**4), st.integers(1, 50))
def test_names_of_attacks_say_steps_and_restarts(steps, restarts):
    one, several = parse_attack(f"pgd{steps}"), parse_attack(f"pgd{steps}x{restarts}")
    assert (one.steps, one.restarts) == (steps, 1)
    assert (several.steps, several.restarts) == (steps, restarts)
    assert several.describe("l2", 10)["restarts"] == restarts


@pytest.mark.parametrize("name", ["clean", "pgd", "pgd0", "pgd-3", "pgd20x0", "pgd20x", "PGD20", "autoattack2", ""])
def test_what_is_no_attack_is_refused(name):
    assert ATTACK.fullmatch(name) is None
    with pytest.raises(RequestError, match=r"^metrics\.attacks: found .*, allowed: pgdSTEPS"):
        load_config("train", [f"metrics.attacks=['{name}']"])


def test_protocols_say_attack_norm_radius_and_images(robust, digits, tmp_path):
    metrics = Metrics([], 0, ["pgd2x3"], accuracy_count=30)
    threat = Threat("linf", (8 / 255,), (0.01, 0.02))
    figures, _ = measure_accuracy("x", robust, digits, threat, metrics, 0, tmp_path)
    names = [(figure.protocol.name, figure.at) for figure in figures]
    assert names == [
        ("clean-mnist5k_test30", None), ("pgd2x3-linf-0.0313725-mnist5k_test30", None),
        ("pgd2x3-linf-mnist5k_test30", {"eps": 0}), ("pgd2x3-linf-mnist5k_test30", {"eps": 0.01}),
        ("pgd2x3-linf-mnist5k_test30", {"eps": 0.02}),
    ]  # fmt: skip
    assert figures[0].value == figures[2].value
    assert figures[1].protocol.details["restarts"] == 3
    assert {figure.count for figure in figures} == {30}


def test_what_is_planned_is_at_least_what_is_done(digits, tmp_path):
    """Passes of single images, forward and backward, and all of them of a network that is never wrong."""
    few, settings = digits.test.head(30), Metrics([], 0, ["pgd2x3", "pgd4"], accuracy_count=20)
    network = Right(few.labels[:20])
    threat = Threat("l2", (0.5,), (0.5, 1.0))
    measure_accuracy("x", network, DataSet("few", few, few, "few"), threat, settings, 0, tmp_path)
    assert network.forwards + network.backwards == accuracy_passes(settings, threat, 30)
    assert accuracy_passes(Metrics([], 0), threat, 30) == 30


class Right(torch.nn.Module):
    """Gives every image to its class, and counts."""

    def __init__(self, labels):
        super().__init__()
        self.labels, self.classes, self.device, self.forwards, self.backwards = labels, 10, CPU, 0, 0

    def forward(self, x):
        self.forwards += len(x)
        if x.requires_grad:
            x.register_hook(self.count)
        return torch.nn.functional.one_hot(self.labels, 10) * 9.0 + 0 * x.flatten(1).sum(1, keepdim=True)

    def count(self, gradient):
        self.backwards += len(gradient)


def test_a_ball_is_named_or_the_one_of_the_training():
    metrics, trained = Metrics([], 0, ["pgd2"]), {"adversary": {"norm": "linf", "eps": 0.1}}
    assert named_threat(None, metrics, trained) == Threat("linf", (0.1,), ())
    several = Metrics([], 0, ["pgd2"], attack_eps=[2.0, 1.0])
    assert named_threat("l2", several, {}) == Threat("l2", (1.0, 2.0), (1.0, 2.0))
    with pytest.raises(RequestError, match=r"^norm: none given"):
        named_threat(None, several, {"adversary": {"norm": "none", "eps": 0}})
    with pytest.raises(RequestError, match=r"^metrics\.attack_eps: none given"):
        named_threat("l2", metrics, trained)
