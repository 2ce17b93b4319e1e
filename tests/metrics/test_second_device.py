"""Whatever measures does so where its network lies: each of these fails where tensors of two devices meet."""

import numpy as np
import pytest
import torch
from torchvision.models import alexnet

from robsynth.classifiers import build_classifier
from robsynth.config import Metrics
from robsynth.data import DataSet
from robsynth.machine import Machine
from robsynth.metrics import pairs
from robsynth.metrics.accuracy import Threat, measure_accuracy
from robsynth.metrics.cases import merits, nearest_training_images
from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.extractors import JudgeExtractor, open_extractor, register_extractor
from robsynth.metrics.extractors.inception import RESIZES
from robsynth.metrics.robustness import Ball, parse_attack, recognised, withstood
from robsynth.samples import MemorySamples, SampleSet


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Torch hub's directory, empty, and a cache of this test's own."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("ROBSYNTH_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "hub" / "checkpoints"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def weights(hub):
    """An AlexNet that has learned nothing."""
    torch.save(alexnet(weights=None).state_dict(), hub / pairs.ALEXNET)


class Pooled(torch.nn.Module):
    """A network of the user's own that costs nothing."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(255.0))

    def forward(self, x):
        small = torch.nn.functional.adaptive_avg_pool2d(x / self.scale, 4).flatten(1)
        return small, small[:, :10]


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setattr("robsynth.metrics.extractors.own._factories", {})
    register_extractor("pooled", lambda device: Pooled())


@pytest.fixture
def network(second_device):
    return build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval().to(second_device)


@pytest.fixture
def judge(network):
    return JudgeExtractor(network, "0123456789ab")


@pytest.fixture
def digit_samples(few_digits):
    images = few_digits.test.images.permute(0, 2, 3, 1).contiguous().numpy()
    mask = np.zeros_like(images)
    mask[:, 8:16, 8:16] = 255
    return MemorySamples("x", SampleSet(images, few_digits.test.labels.numpy(), original=255 - images, mask=mask))


@pytest.mark.parametrize("name", [*RESIZES, "efficientnet_lite0", "pooled", "judge"])
def test_every_extractor_that_can_be_opened_here(name, second_device, own, judge, digit_samples):
    extractor = open_extractor(name, "fp32", second_device, judge=judge)
    assert extractor.device == second_device
    found = extractor(digit_samples.first(3).images)
    assert {part.shape[0] for part in found.values()} == {3}
    assert found["features"].shape[1] == extractor.dimensions


@pytest.mark.parametrize("name", ["inception2015", "efficientnet_lite0"])
def test_extractors_in_bf16(name, second_device, digit_samples):
    assert open_extractor(name, "bf16", second_device)(digit_samples.first(2).images)["features"].dtype == np.float32


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_accuracies_clean_and_under_pgd(norm, second_device, network, few_digits, tmp_path):
    settings, threat = Metrics([], 3, ["pgd2x2"], accuracy_count=15), Threat(norm, (0.1,), (0.1, 0.2))
    figures, _ = measure_accuracy("x", network, few_digits, threat, settings, 0, tmp_path)
    # Nothing is read from there, so that nothing seems lost, and every image is attacked by every restart.
    assert {figure.value for figure in figures} == {1.0}
    assert recognised(network, few_digits.test).right.all()
    assert withstood(network, few_digits.test, parse_attack("pgd3"), Ball(norm, 0.1), 0, tmp_path / "k").right.all()
    assert network.device == second_device


@pytest.mark.parametrize("masked", [False, True])
def test_lpips(masked, second_device, digit_samples, weights):
    lpips, rows = pairs.open_lpips(second_device), digit_samples.first(4)
    assert {part.device for part in lpips.parameters()} == {second_device}
    assert pairs.lpips_each(lpips, rows.images, rows.original, rows.mask if masked else None).shape == (4,)


def test_a_whole_evaluation(second_device, own, judge, few_digits, digit_samples, weights):
    """Sets, judge and pairs, the shares of a run, and the choice of pictures."""
    names = ["fid_pooled", "kid_5x10_pooled", "is_2splits_pooled", "class_fid_pooled", "precision_recall_pooled"]
    data = DataSet("few", few_digits.train, few_digits.test, "few")
    evaluation = Evaluation(Metrics(names, 3), Machine(second_device), data, judge)
    evaluation.prepare(20)
    found = {figure.metric for figure in evaluation.measure("x", digit_samples)}
    assert {"fid", "kid", "is", "precision", "judge_score", "judge_share", "lpips", "lpips_masked"} <= found
    assert {figure.metric for figure in evaluation.at({"steps": 3}, "x", digit_samples)} >= {"fid", "judge_share"}
    generated = MemorySamples("x", SampleSet(digit_samples.first().images, digit_samples.wanted))
    assert merits(evaluation, generated)[1].shape == (20,)
    assert nearest_training_images(evaluation, generated, 2).shape == (2, 32, 32, 1)
