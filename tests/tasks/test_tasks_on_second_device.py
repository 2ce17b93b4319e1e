"""Every task works where its network lies, found without a GPU: see tests/second_device.py."""

from dataclasses import replace

import pytest
import torch

from robsynth.classifiers import Ensemble, build_classifier
from robsynth.config import PaintingStage
from robsynth.config.compose import load_config
from robsynth.errors import RequestError
from robsynth.tasks import POSE, ClassGaussians, LowRankGaussians, Synthesis
from robsynth.tasks.originals import UNKNOWN, from_data_set, from_folder, read_masks, user_files
from trees import picture

SHAPE = (1, 32, 32)
NAMES = tuple("0123456789")
TASKS = list(POSE)
STAGES = [PaintingStage(unit=3), PaintingStage(target="7")]


@pytest.fixture
def network(second_device):
    return build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3]).eval().to(second_device)


@pytest.fixture
def photos(tmp_path):
    """Three photographs, one of them in a folder of its class, and a mask for each."""
    for i, name in enumerate(("a", "7/b", "c")):
        for folder in ("photos", "masks"):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(i, 48).save(path)
    return tmp_path


def settings_of(task, **changes):
    return replace(load_config("synthesize", []).tasks[task], steps=2, noise=0.1, **changes)


def check_made(task, settings, network, originals=None, seeds=None, stage_masks=()):
    """A problem and its solution, and that all of both is where the network is."""
    synthesis = Synthesis(task, settings, network, NAMES, SHAPE, 7, "fp32", originals, seeds, stage_masks)
    seen = []
    problem, x = synthesis.run(torch.arange(5), lambda i, x, values: seen.append((x, values)))
    parts = [x, *(part for step in seen for part in step), *vars(problem).values()]
    assert {part.device for part in parts if isinstance(part, torch.Tensor)} == {network.device}
    assert x.shape == (5, *SHAPE)
    return problem


@pytest.mark.parametrize("task", TASKS)
def test_every_task_works_on_a_data_sets_images(task, network, few_digits):
    seeds = ClassGaussians(few_digits.train, pool=2) if task == "generation" else None
    originals = None if task == "generation" else from_data_set(few_digits.test, NAMES)
    check_made(task, settings_of(task), network, originals, seeds)


@pytest.mark.parametrize("masked", [False, True], ids=["no masks", "masks"])
@pytest.mark.parametrize("task", [task for task in TASKS if task != "generation"])
def test_every_task_works_on_a_users_images(task, masked, network, photos):
    originals = from_folder(str(photos / "photos"), str(photos / "masks") if masked else None, SHAPE, NAMES)
    assert UNKNOWN in originals.labels
    check_made(task, settings_of(task), network, originals)


@pytest.mark.parametrize("lines", ["given", "edges", "strokes"])
def test_sketches_are_given_or_made(lines, network, few_digits):
    check_made(
        "sketch_to_image", settings_of("sketch_to_image", lines=lines), network, from_data_set(few_digits.test, NAMES)
    )


def test_few_pixels_of_a_user_are_enlarged(network, photos):
    for path in (photos / "photos").rglob("*.png"):
        picture(0, 8).save(path)
    originals = from_folder(str(photos / "photos"), None, SHAPE, NAMES, few=8)
    assert originals.images.shape == (1, 8, 8)
    assert (
        check_made("super_resolution", settings_of("super_resolution", factor=4), network, originals).original is None
    )


@pytest.mark.parametrize("masked", [False, True], ids=["no masks", "masks"])
def test_stages_are_painted(masked, network, photos, few_digits):
    settings = settings_of("feature_painting", stages=STAGES)
    if not masked:
        check_made("feature_painting", settings, network, from_data_set(few_digits.test, NAMES))
        return
    files = user_files(str(photos / "photos"))
    masks = (read_masks(str(photos / "masks"), files, 32), read_masks(str(photos / "masks" / "a.png"), files, 32))
    check_made(
        "feature_painting", settings, network, from_folder(str(photos / "photos"), None, SHAPE, NAMES), None, masks
    )


@pytest.mark.parametrize("maximise", ["unit", "score"])
def test_a_target_is_painted(maximise, network, few_digits):
    settings = settings_of("feature_painting", maximise=maximise, target="3")
    check_made("feature_painting", settings, network, from_data_set(few_digits.test, NAMES))


@pytest.mark.parametrize("objective", ["cross_entropy", "logit"])
def test_seeds_of_a_bundle_are_drawn(objective, network, digits):
    kept = LowRankGaussians.from_tensors(ClassGaussians(digits.train, 4).low_rank(8).tensors())
    check_made("generation", settings_of("generation", objective=objective), network, None, kept)


def test_several_classifiers_vote_where_they_all_lie(network, few_digits, second_device):
    plain = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3], seed=5).eval()
    with pytest.raises(RequestError, match="ensemble: found networks on cpu and meta, allowed: one device"):
        Ensemble([network, plain])
    both = Ensemble([network, plain.to(second_device)])
    for task in ("inpainting", "feature_painting"):
        check_made(task, settings_of(task), both, from_data_set(few_digits.test, NAMES))
