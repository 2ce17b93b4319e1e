"""What a run is known by: equal requests are one run, and whatever its results depend on makes another one."""

import json

import numpy as np
import pytest
from PIL import Image

from made import ABOUT
from robsynth.classifiers import Ensemble, build_classifier, save_classifier
from robsynth.cli import main
from robsynth.config.compose import load_config
from robsynth.lab.context import open_context
from robsynth.lab.stages.painting import studio_of
from trees import class_tree, picture


def named(command, *words):
    return open_context(command, load_config(command, ["tracker=none", *words])).name


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with two classifiers of digits, to work in."""
    for seed in (0, 1):
        network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3], seed=seed)
        save_classifier(tmp_path / f"net{seed}.safetensors", network, ABOUT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_said_twice_or_not_read_makes_no_other_run(here):
    plain = named("synthesize", "checkpoint=net0.safetensors")
    assert plain.startswith("samples-generation-")
    assert plain == named("synthesize", "checkpoint=net0.safetensors", "dataset=mnist5k")
    assert plain != named("synthesize", "checkpoint=net1.safetensors")
    assert plain != named("synthesize", "checkpoint=net0.safetensors", "samples.count=3")


def test_a_folder_does_not_hide_a_classifier_that_ships(here):
    before = named("synthesize", "checkpoint=cifar10_laptop", "classifier=cifar10_laptop")
    (here / "cifar10_laptop").mkdir()
    assert named("synthesize", "checkpoint=cifar10_laptop", "classifier=cifar10_laptop") == before


def test_the_code_of_a_plugin_and_a_folder_of_inputs_are_known_by_what_they_hold(here):
    (here / "of_ones_own.py").write_text("WORD = 1\n")
    (here / "photos").mkdir()
    words = ("checkpoint=net0.safetensors", "task=inpainting", "plugins=[of_ones_own]", "inputs=photos")
    names = [named("synthesize", *words)]
    for path, content in (("of_ones_own.py", "WORD = 2\n"), ("photos/a.txt", "a"), ("photos/a.txt", "b")):
        (here / path).write_text(content)
        names.append(named("synthesize", *words))
    assert len(set(names)) == len(names)


def test_images_that_changed_are_not_taken_for_those_that_were(here, capsys):
    class_tree(here / "images", tuple("0123456789"), 1, 1)
    words = ["synthesize", "checkpoint=net0.safetensors", "task=translation", "task.steps=1", "dataset=image_folder",
             "dataset.root=images", "dataset.size=32", "samples.count=2", "tracker=none", "out=made"]  # fmt: skip
    network = build_classifier("compact", [4, 8, 8, 16], 3, 10, [0.1] * 3, [0.3] * 3)
    about = {**ABOUT, "channels": 3, "shape": [3, 32, 32], "dataset": "image_folder"}
    save_classifier(here / "net0.safetensors", network, about)
    assert main(words) == 0
    assert main(words) == 0
    picture(77).save(here / "images" / "test" / "0" / "000.png")
    capsys.readouterr()
    assert main(words) == 2
    assert "out: made holds a run of other settings (data " in capsys.readouterr().err


def test_accuracies_are_those_of_the_classifier_and_not_of_the_ensemble_that_it_leads(here):
    words = ["checkpoint=net0.safetensors", "ensemble=[net1.safetensors]"]
    studio = studio_of(open_context("reproduce", load_config("reproduce", words)))
    assert isinstance(studio.network, Ensemble)
    assert studio.classifier is studio.network.first


def test_what_does_not_fit_is_refused_before_anything_is_computed_or_written(here, capsys):
    (here / "large").mkdir()
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(here / "large" / "a.png")
    for words, complaint in {
        ("evaluate", "samples=large", "tracker=none", "out=measured"): "samples: images are (40, 40, 1)",
        ("train", "model=baseline", "dataset=cifar10", "out=gan"): "baseline: found none, allowed with model=baseline",
    }.items():
        assert main([*words]) == 2, words
        assert complaint in capsys.readouterr().err
    assert not (here / "measured").exists()
    assert not (here / "gan").exists()


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (["train", "recipe.epochs=1"], ["train classifier", "accuracy", "model card", "bundle"]),
        (["synthesize", "checkpoint=net0.safetensors", "samples.count=7"], ["synthesize generation", "picture"]),
        (["evaluate", "samples=samples.npy", "judge=net0.safetensors"], ["reference features", "measure"]),
        (["evaluate", "checkpoint=net0.safetensors", "norm=l2", "metrics.attack_eps=[1]"], ["measure"]),
    ],
)
def test_every_command_of_stages_has_a_plan(words, stages, here, capsys):
    np.save("samples.npy", np.zeros((20, 32, 32, 1), np.uint8))
    small = "metrics.protocols=[kid_train40_3x10_efficientnet_lite0]"
    assert main([*words, *([small] if words[0] == "evaluate" else []), "--plan"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in said["stages"]] == stages
    assert said["stages"][0]["passes"] > 0
    assert sorted(path.name for path in here.iterdir()) == ["net0.safetensors", "net1.safetensors", "samples.npy"]
