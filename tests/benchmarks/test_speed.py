"""The benchmark against the authors' library, at a tiny size: both libraries really run."""

import json
import sys

import pytest
import torch

import speed
from robsynth.ascent import L2, ascend, frozen, towards
from robsynth.classifiers import find_checkpoint, load_classifier
from robsynth.config import Generation
from robsynth.randomness import generator

TINY = ["classifier=compact", "classifier.widths=[4,8,8,16]", "recipe.batch_size=32"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The benchmark's files, of digits, four images and two steps."""
    out = tmp_path_factory.mktemp("speed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "CORES", 1)
        patch.setattr(speed, "data_here", lambda: None)
        for name, ways in (("TRAINING_WAYS", 2), ("SYNTHESIS_WAYS", 1)):
            patch.setattr(speed, name, dict(list(getattr(speed, name).items())[:ways]))
        speed.main(
            out=out,
            training={"networks": {" ".join(TINY): (64, 2, 20)}},
            synthesis={"rounds": 2, "batch": 2, "extra": ["tasks.generation.steps=2", "precision=fp32"]},
            linearity={
                "words": TINY, "steps": (1, 2), "images": (2, 4), "training_images": (32, 64), "attack_steps": (1, 2),
                "batch": 2, "rounds": 1,
            },
        )  # fmt: skip
    return out


def test_both_libraries_train_and_say_what_it_took(measured):
    rows = json.loads((measured / "speed.json").read_text())["training"]["rows"]
    assert [row["way"] for row in rows] == list(speed.TRAINING_WAYS)[:2]
    for row in rows:
        assert len(row["images_per_second"]) == 1
        assert row["images_per_second"][0] > 0
        assert 0 <= row["robust"] <= row["clean"] <= 1
        assert row["peak_gb"] > 0.1


@pytest.mark.parametrize("notebook", [False, True])
def test_between_the_bounds_of_pixels_the_librarys_images_are_ours(monkeypatch, notebook):
    from speed_ways import authors

    for kind in (torch.Tensor, torch.nn.Module):
        monkeypatch.setattr(kind, "cuda", kind.cuda)
    monkeypatch.setitem(sys.modules, "torchvision.models.utils", None)
    network, _ = load_classifier(find_checkpoint("cifar10_laptop"))
    start = 0.2 + 0.6 * torch.rand(3, 3, 32, 32, generator=generator(0, "images"))
    wanted = torch.tensor([0, 4, 9])
    settings = Generation(norm="l2", eps=1, steps=3, step_size=0.4, keep="best", objective="cross_entropy")
    with frozen(network):
        ours = ascend(lambda x: towards(network(x), wanted), start, L2(1), 3, 0.4)
    theirs = authors.painter(network, settings, notebook)(start, wanted, 3)
    assert (ours - start).flatten(1).norm(dim=1).min() > 0.5
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-4)


def test_its_pages_hold_what_was_measured(measured):
    record = json.loads((measured / "speed.json").read_text())
    page, summary = (measured / "speed.md").read_text(), (measured / "speed_summary.md").read_text()
    assert page == speed.render(record)
    assert summary == speed.render_summary(record)
    assert page.startswith(summary)
    assert f"robustness {record['versions']['robustness']}" in page
    assert [line["of"] for line in record["linearity"]["lines"]] == [
        "steps of generation", "generated images", "steps of the attack in training", "training images",
    ]  # fmt: skip
    assert (measured / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_that_is_measured_again_leaves_the_others(measured, monkeypatch):
    before = json.loads((measured / "speed.json").read_text())
    monkeypatch.setitem(speed.MEASURES, "linearity", lambda dataset: {**before["linearity"], "batch": 3})
    monkeypatch.setattr(speed, "data_here", lambda: None)
    speed.main(["linearity"], measured)
    after = json.loads((measured / "speed.json").read_text())
    assert after["linearity"]["batch"] == 3
    assert after["training"] == before["training"]
    assert after["synthesis"] == before["synthesis"]


def test_the_line_through_points_on_a_line():
    found = speed.line([[1, 2.5], [2, 4.5], [4, 8.5]])
    assert found["seconds_each"] == pytest.approx(2)
    assert found["seconds_at_0"] == pytest.approx(0.5)
    assert found["r2"] == pytest.approx(1)


def test_a_way_that_fails_is_named_with_its_last_word(monkeypatch):
    with pytest.raises(SystemExit, match=r"^robsynth: .*recipe\.epoch_count"):
        speed.in_turn("training", {"robsynth": {"library": "ours", "words": ["recipe.epoch_count=1"]}}, [], {}, 1)
