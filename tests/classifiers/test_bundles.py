"""The classifiers that ship: small, described, and able to paint where no data set is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import ROOT
from robsynth.classifiers import load_classifier, read_extra
from robsynth.cli import main
from robsynth.samples import load_samples
from robsynth.tasks import LowRankGaussians

BUNDLES = {path.stem: path for path in (ROOT / "src" / "robsynth" / "bundles").glob("*.safetensors")}


def test_the_three_laptop_experiments_ship_their_classifier():
    assert set(BUNDLES) == {"cifar10_laptop", "restricted_imagenet_laptop", "cats_vs_dogs_laptop"}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_small_and_says_where_it_comes_from(name):
    path = BUNDLES[name]
    network, about = load_classifier(path)
    assert path.stat().st_size <= 15_000_000
    assert network.classes == len(about["label_names"])
    assert about["training"]["history"][-1]["epoch"] == about["recipe"]["epochs"]
    assert "+changes" not in about["training"]["commit"]
    assert about["reference"][f"{about['dataset']}/train"] == about["seeds"]["fingerprint"]
    seeds = LowRankGaussians.from_tensors(read_extra(path, "seeds."))
    assert seeds.means.shape[0] == network.classes
    assert seeds.shape[1] * seeds.pool == about["shape"][1]


@pytest.mark.parametrize("name", BUNDLES)
def test_it_paints_what_it_is_asked_for_without_a_data_set(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROBSYNTH_DATA", raising=False)
    assert main(["synthesize", f"classifier={name}", "samples.count=8", "dataset.download=false", "tracker=none"]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    made = load_samples(found["samples"])
    network, about = load_classifier(BUNDLES[name])
    images = torch.from_numpy(made.images).permute(0, 3, 1, 2).float() / 255
    wanted = torch.from_numpy(made.wanted)
    assert wanted.tolist() == [i % len(about["label_names"]) for i in range(8)]
    with torch.no_grad():
        assert (network(images).argmax(1) == wanted).float().mean() >= 0.8
    assert Path(found["page"]).is_file()


def test_the_picture_that_readme_opens_with_can_be_painted_from_the_bundle(tmp_path, monkeypatch, capsys):
    """Image i of a run depends on (seed, i): the first ten of a class are the same among 100 and among 400."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROBSYNTH_DATA", raising=False)
    picture = ROOT / "results" / "cifar10_laptop" / "pictures" / "generation.png"
    assert f"({picture.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text().split("\n## ")[0]
    assert main(["synthesize", "classifier=cifar10_laptop", "samples.count=100", "tracker=none"]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    from PIL import Image

    ours, theirs = (torch.from_numpy(np.array(Image.open(path))).float() for path in (found["picture"], picture))
    # Another machine's bf16 turns a gradient a little; the picture stays the picture.
    assert ours.shape == theirs.shape
    assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.8
