"""A user's own images, masks, sketches and stages, through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robsynth.classifiers import build_classifier, save_classifier
from robsynth.cli import main
from robsynth.samples import load_samples
from trees import picture

NAMES = ["cat", "dog", "frog"]
ABOUT = {"arch": "compact", "widths": [4, 8, 8, 16], "channels": 3, "shape": [3, 32, 32], "dataset": "photos",
         "label_names": NAMES}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A classifier of colour photographs, four of them (one in a folder of its class), and masks; no data set."""
    network = build_classifier("compact", [4, 8, 8, 16], 3, 3, [0.5] * 3, [0.25] * 3)
    save_classifier(tmp_path / "net.safetensors", network, ABOUT)
    for i, name in enumerate(["a.png", "b.png", "dog/c.png", "d.png"]):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(i, 48).save(tmp_path / "photos" / name)
    (tmp_path / "masks").mkdir()
    for i, name in enumerate("abcd"):
        mask = np.zeros((48, 48), np.uint8)
        mask[12 * i : 12 * i + 12] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROBSYNTH_DATA", raising=False)
    return tmp_path


def synthesize(capsys, task, *words):
    status = main(["synthesize", f"task={task}", "checkpoint=net.safetensors", "task.steps=2", "out=made",
                   "tracker=none", *words])  # fmt: skip
    spoken = capsys.readouterr()
    if status:
        return spoken.err
    found = json.loads(spoken.out.strip().splitlines()[-1])
    assert Path(found["picture"]).is_file()
    assert "data:image/png;base64," in Path(found["page"]).read_text()
    return load_samples(found["samples"])


def test_inpainting_fills_what_the_masks_say(here, capsys):
    made = synthesize(capsys, "inpainting", "inputs=photos", "masks=masks")
    assert len(made.images) == 4
    # In the order of their names: a, b, d, dog/c.
    for i, stripe, mask in zip(range(4), (0, 1, 3, 2), made.mask[:, :, :, 0], strict=True):
        assert (mask[8 * stripe : 8 * stripe + 8] > 0).all()
        assert (mask > 0).sum() == 8 * 32
        assert np.array_equal(made.start[i][mask == 0], made.original[i][mask == 0])


def test_a_folder_called_like_a_class_says_what_an_image_is(here, capsys):
    made = synthesize(capsys, "super_resolution", "inputs=photos")
    assert made.wanted[3] == NAMES.index("dog")


def test_a_target_is_a_class_by_name(here, capsys):
    made = synthesize(capsys, "translation", "inputs=photos", "task.target=frog")
    assert made.wanted.tolist() == [2] * 4
    assert "allowed: cat, dog, frog" in synthesize(capsys, "translation", "inputs=photos", "task.target=owl")


def test_a_users_sketch_is_taken_as_it_is(here, capsys):
    made = synthesize(capsys, "sketch_to_image", "inputs=photos", "task.target=cat")
    photo = np.asarray(Image.open(here / "photos" / "a.png").resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(made.start[0], photo)
    assert made.original is None


def test_images_of_few_pixels_are_made_larger_and_no_smaller_first(here, capsys):
    for path in (here / "photos").rglob("*.png"):
        Image.open(path).resize((8, 8)).save(path)
    made = synthesize(capsys, "super_resolution", "inputs=photos", "task.factor=4")
    few = np.asarray(Image.open(here / "photos" / "a.png"))
    assert np.array_equal(made.start[0], few.repeat(4, 0).repeat(4, 1))
    assert made.original is None


def test_painting_in_stages_takes_a_mask_for_each(here, capsys):
    stages = "task.stages=[{mask:masks,unit:3},{mask:masks/b.png,target:dog}]"
    made = synthesize(capsys, "feature_painting", "inputs=photos", stages, "task.penalty=1e6")
    assert made.wanted.tolist() == [1] * 4
    # The second file is one mask for all, over the first, which has one for each.
    assert (made.mask[0, :, :, 0] > 0).sum() == 2 * 8 * 32
    assert (made.mask[1, :, :, 0] > 0).sum() == 8 * 32


@pytest.mark.parametrize(
    ("task", "words", "complaint"),
    [
        ("inpainting", ["inputs=nowhere"], "inputs: no images in nowhere"),
        ("inpainting", ["inputs=empty"], "inputs: no images in empty"),
        ("inpainting", ["inputs=broken"], "inputs: broken/x.png is not a readable image"),
        ("inpainting", ["inputs=photos", "masks=nowhere"], "masks: no file or folder nowhere"),
        ("inpainting", ["inputs=photos", "masks=some"], "masks: no mask called b.* in some"),
        ("inpainting", ["masks=masks"], "masks: found without inputs"),
        ("feature_painting", ["inputs=photos", "task.stages=[{mask:no}]"], "stages[0].mask: no file or folder no"),
        ("feature_painting", ["inputs=photos", "task.stages=[{unit:99}]"], "unit: found 99, allowed: 0 to 15"),
        ("feature_painting", ["inputs=photos", "task.stages=[{unit:-1}]"], "stages[0].unit: found -1, allowed"),
    ],
)
def test_what_cannot_be_used_is_named(task, words, complaint, here, capsys):
    (here / "empty").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "x.png").write_bytes(b"no image")
    (here / "some").mkdir()
    (here / "masks" / "a.png").rename(here / "some" / "a.png")
    assert complaint in synthesize(capsys, task, *words)
    assert not (here / "made").exists()


def test_a_bundle_paints_without_its_data(here, capsys, digits):
    """Weights, names and seeds travel in one file; the data set is not looked for."""
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    about = {**ABOUT, "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k", "label_names": list("0123456789")}
    save_classifier(here / "digits.safetensors", network, about)
    words = ["checkpoint=digits.safetensors", "out=bundle.safetensors", "tasks.generation.rank=12"]
    assert main(["bundle", *words]) == 0
    bundle = json.loads(capsys.readouterr().out)
    assert bundle["megabytes"] < 1
    paint = ["synthesize", "task=generation", "task.steps=2", "samples.count=20", "tracker=none"]
    # No such data set can be found here.
    assert main([*paint, "checkpoint=bundle.safetensors", "dataset=cifar10", "task.pool=1", "out=a"]) == 0
    assert main([*paint, "checkpoint=digits.safetensors", "task.seeds=bundle", "out=b"]) == 2
    assert "has no seeds" in capsys.readouterr().err
    made = load_samples(here / "a")
    assert made.images.shape == (20, 32, 32, 1)
    assert made.wanted.tolist() == [*range(10), *range(10)]
    means = torch.from_numpy(made.start[made.wanted == 1]).float().mean(0)
    truth = digits.train.pixels(digits.train.of_class(1)).float().mean(0)[0]
    assert torch.corrcoef(torch.stack([means.flatten(), truth.flatten()]))[0, 1] > 0.8
