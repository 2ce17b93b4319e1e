"""Every experiment runs at the smallest scale, and says at its own scale what it would cost."""

import json
from pathlib import Path

import pytest

from harness import ROOT
from robsynth.cli import main
from robsynth.config.compose import load_config
from robsynth.lab import plan
from robsynth.records.record import load_record
from trees import all_trees

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml") if path.stem != "mnist5k")
PAPER = [name for name in EXPERIMENTS if not name.endswith("_laptop")]


# Of a small network instead of Inception.
METRICS = "metrics.protocols=[kid_train40_3x10_efficientnet_lite0,is_2splits,is_2splits_efficientnet_lite0]"


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    return all_trees(tmp_path_factory.mktemp("trees"))


@pytest.fixture
def here(trees, tmp_path, monkeypatch):
    """An empty directory, with the tiny data sets where data sets are looked for."""
    monkeypatch.setenv("ROBSYNTH_DATA", str(trees))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs_from_end_to_end(name, here, capsys):
    assert main(["reproduce", f"experiment={name}", "scale=smoke", METRICS, "tracker=none", "out=run"]) == 0
    found = said(capsys)
    record, config = load_record(Path(found["record"])), load_config("reproduce", [f"experiment={name}"])
    assert record.experiment == found["experiment"] == name
    assert record.scale == "smoke"
    subjects = {figure["subject"] for figure in record.figures}
    assert {*config.select, "real held-out images", "robust classifier"} <= subjects
    assert ("judge" in subjects) == (config.judge.name != "none")
    assert all(figure["value"] is not None or figure["why"] for figure in record.figures)
    drawn = {picture["name"] for picture in record.pictures}
    assert {*config.select, "real"} <= drawn
    assert Path(found["report"]).is_file()


@pytest.mark.parametrize("name", PAPER)
def test_its_plan_says_what_it_would_take(name, here, capsys, monkeypatch):
    # Two images are timed.
    monkeypatch.setattr(plan, "PROBE_VALUES", 1)
    words = [f"experiment={name}", "recipe.held_out=1", "recipe.batch_size=4"]
    assert main(["reproduce", *words, "--plan"]) == 0
    found, config = said(capsys), load_config("reproduce", words)
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert found["scale"] == "paper"
    training = stages["train classifier"]
    images, epochs = found["images"]["train"], config.recipe.epochs
    # Seven steps there and back, one to see the last iterate, and one forward and two backward for the weights; of each
    # held-out image one to see it as it is, ten steps, one to see the last iterate and one what became of it.
    aside, batch = config.recipe.held_out, config.recipe.batch_size
    learnt = (images - aside) // batch * batch
    assert training["passes"] == epochs * (learnt * (2 * 7 + 1 + 3) + aside * (1 + 2 * 10 + 1 + 1))
    for task in config.select:
        steps = config.tasks[task].steps
        assert stages[f"synthesize {task}"]["passes"] == config.samples.count * (2 * steps + 1)
    assert all(stage["hours_here"] >= 0 and stage["memory_gb"] >= 0 for stage in found["stages"])
    assert found["network"]["parameters"] > 20e6
    assert not list(here.iterdir())


def test_a_checkpoint_needs_no_training_in_the_plan(here, capsys):
    words = ["reproduce", "experiment=inpainting", "checkpoint=RestrictedImageNet.pt", "--plan"]
    assert main(words) == 0
    assert "train classifier" not in {stage["stage"] for stage in said(capsys)["stages"]}


def test_a_setting_of_another_scale_shows_without_a_gpu(here, capsys):
    assert main(["reproduce", "experiment=inpainting", "dataset.size=128", "--plan"]) == 2
    assert "dataset.size: found 128, but the lengths of settings=paper/restricted_imagenet" in capsys.readouterr().err
