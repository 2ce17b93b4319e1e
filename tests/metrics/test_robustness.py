"""Accuracy under attack: what no attack can do, what restarts and AutoAttack add, and the command line."""

import json
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import ATTACKS
from harness import inspected, robsynth
from robsynth.classifiers import build_classifier, load_classifier, save_classifier
from robsynth.commands import evaluate
from robsynth.config import ATTACK, Metrics
from robsynth.config.compose import load_config
from robsynth.errors import RequestError
from robsynth.metrics import robustness
from robsynth.metrics.accuracy import Threat, measure_accuracy, named_threat
from robsynth.metrics.robustness import Ball, members_for, parse_attack, recognised, withstood
from robsynth.records.record import load_record
from robsynth.records.rows import figure_key
from robsynth.reports.plots import all_plots

CPU = torch.device("cpu")


@pytest.fixture
def robust(robust_run):
    directory, said = robust_run
    return load_classifier(directory / said["checkpoint"])[0]


@pytest.fixture
def under(robust, digits, tmp_path):
    """The first digits that a classifier still recognises under the attack of this name."""

    def right(name, ball, count=40, network=robust, seed=0, kept="kept"):
        few = digits.test.head(count)
        place = tmp_path / kept / f"{name}-{ball.norm}-{ball.eps}-{count}"
        return withstood(network, few, parse_attack(name), ball, seed, CPU, place).right

    return right


def test_accuracy_without_an_attack_counts(robust, digits):
    images, labels = digits.test.take(range(300))
    expected = robust(images).argmax(1) == labels
    assert torch.equal(recognised(robust, digits.test.head(300), CPU).right, expected)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_ball_without_a_radius_takes_nothing(robust, digits, under, norm):
    clean = recognised(robust, digits.test.head(40), CPU).right
    assert clean.any()
    assert not clean.all()
    assert torch.equal(under("pgd3x2", Ball(norm, 0)), clean)


@pytest.mark.parametrize("ball", [Ball("l2", 1.5), Ball("linf", 0.1)])
def test_a_restart_only_takes(robust, digits, under, ball):
    """An image is lost once any start leads to another class."""
    clean = recognised(robust, digits.test.head(100), CPU).right
    counts = [clean] + [under(f"pgd3x{restarts}", ball, 100) for restarts in (1, 2, 4)]
    for before, after in pairwise(counts):
        assert not (after & ~before).any()
    assert counts[-1].sum() < counts[0].sum()
    assert torch.equal(under("pgd3", ball, 100), counts[1])


def test_pgd_does_not_depend_on_how_many_are_attacked_at_a_time(under, monkeypatch):
    ball = Ball("l2", 1.5)
    together = under("pgd3x2", ball)
    assert 0 < together.sum() < 40
    monkeypatch.setattr(robustness, "CHUNK", 7)
    assert torch.equal(under("pgd3x2", ball, kept="apart"), together)
    assert torch.equal(under("pgd3x2", ball, count=11, kept="fewer"), together[:11])


def test_what_is_lost_is_not_attacked_again(under):
    class Never(torch.nn.Module):
        classes, seen = 10, 0

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
    monkeypatch.setattr(robustness, "CHUNK", 10)
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
    figures, _ = measure_accuracy("x", robust, digits, threat, metrics, 0, CPU, tmp_path)
    names = [(figure.protocol.name, figure.at) for figure in figures]
    assert names == [
        ("clean-mnist5k_test30", None), ("pgd2x3-linf-0.0313725-mnist5k_test30", None),
        ("pgd2x3-linf-mnist5k_test30", {"eps": 0}), ("pgd2x3-linf-mnist5k_test30", {"eps": 0.01}),
        ("pgd2x3-linf-mnist5k_test30", {"eps": 0.02}),
    ]  # fmt: skip
    assert figures[0].value == figures[2].value
    assert figures[1].protocol.details["restarts"] == 3
    assert {figure.count for figure in figures} == {30}


def test_a_ball_is_named_or_the_one_of_the_training():
    metrics, trained = Metrics([], 0, ["pgd2"]), {"adversary": {"norm": "linf", "eps": 0.1}}
    assert named_threat(None, metrics, trained) == Threat("linf", (0.1,), ())
    several = Metrics([], 0, ["pgd2"], attack_eps=[2.0, 1.0])
    assert named_threat("l2", several, {}) == Threat("l2", (1.0, 2.0), (1.0, 2.0))
    with pytest.raises(RequestError, match=r"^norm: none given"):
        named_threat(None, several, {"adversary": {"norm": "none", "eps": 0}})
    with pytest.raises(RequestError, match=r"^metrics\.attack_eps: none given"):
        named_threat("l2", metrics, trained)


def test_a_training_ends_with_a_curve_in_its_report(robust_run):
    directory, said = robust_run
    record = load_record(directory / "robust")
    quoted = {one["protocol"]: one["value"] for one in record.figures if "at" not in one}
    assert quoted["clean-mnist5k_test100"] == said["clean_accuracy"]
    assert said["robust_accuracy"] == min(quoted[f"{name}-l2-1.5-mnist5k_test100"] for name in ATTACKS)
    for name in ATTACKS:
        points = [one for one in record.figures if one["protocol"] == f"{name}-l2-mnist5k_test100"]
        assert [one["at"]["eps"] for one in points] == [0, 0.5, 3]
        values = [one["value"] for one in points]
        assert values == sorted(values, reverse=True)
        assert values[0] == said["clean_accuracy"]
    (plot,) = (plot for plot in all_plots(record) if plot.name == "robustness")
    assert all(f"`{name}-l2-mnist5k_test100`" in plot.caption for name in ATTACKS)
    assert (directory / "robust" / "report" / "plots" / "robustness.png").is_file()
    assert "robust accuracy (2)" in (directory / said["report"]).read_text()


def test_evaluate_measures_a_classifier_that_exists(robust_run):
    directory, said = robust_run
    words = ("evaluate", f"checkpoint={said['checkpoint']}", "metrics.attacks=[pgd3]", "metrics.attack_eps=[0.5,1.5]",
             "metrics.accuracy_count=100", "out=evaluated")  # fmt: skip
    found = robsynth(*words, cwd=directory).json
    record = load_record(directory / "evaluated")
    assert record.figures == found["figures"]
    mine = {one["protocol"]: one["value"] for one in record.figures if "at" not in one}
    theirs = {one["protocol"]: one["value"] for one in load_record(directory / "robust").figures}
    # The same attack on the same images as at the end of the training.
    shared = mine.keys() & theirs.keys()
    assert shared == {"clean-mnist5k_test100", "pgd3-l2-1.5-mnist5k_test100"}
    assert {name: mine[name] for name in shared} == {name: theirs[name] for name in shared}
    logged = inspected(directory / "evaluated")
    assert logged["tags"] == ["evaluate", "mnist5k"]
    assert {figure_key(one): one["value"] for one in record.figures}.items() <= logged["summary"].items()
    again = robsynth(*words, cwd=directory)
    assert again.stderr.count("done before") == 1
    assert again.json == found


def test_evaluate_says_what_it_lacks(robust_run, tmp_path):
    directory, said = robust_run
    foreign = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    about = {"arch": "compact", "widths": [4, 8, 8, 16], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
             "label_names": list("0123456789")}  # fmt: skip
    save_classifier(tmp_path / "foreign.safetensors", foreign, about)
    robust = f"checkpoint={directory / said['checkpoint']}"
    foreign_one = f"checkpoint={tmp_path / 'foreign.safetensors'}"
    for words, complaint in {
        (foreign_one,): r"norm: none given, and the classifier names no adversary",
        (foreign_one, "norm=l2"): r"metrics\.attack_eps: none given",
        (robust, "samples=x"): r"samples: found beside a classifier",
        ("samples=x", "norm=l2"): r"norm: found l2 without a classifier",
        ("checkpoint=absent",): r"classifier\.checkpoint: no file absent",
    }.items():
        with pytest.raises(RequestError, match=f"^{complaint}"):
            evaluate.run(load_config("evaluate", [*words, f"out={tmp_path / 'out'}"]))
    assert not (tmp_path / "out").exists()
