"""Sets and pairs of images under protocols: parity with torch-fidelity, independence, caches, refusals."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from harness import robsynth
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.config import Metrics
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.lab.measuring import DataSamples
from robsynth.metrics import features
from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.exported import load_statistics
from robsynth.metrics.extractors import JudgeExtractor
from robsynth.metrics.extractors.inception import whole_state
from robsynth.metrics.protocols import parse
from robsynth.records.figures import METRICS
from robsynth.samples import MemorySamples, SampleSet

CPU = torch.device("cpu")
PROTOCOLS = [
    "fid_train40", "kid_train40_5x10", "is_2splits", "is_2splits_efficientnet_lite0", "precision_recall_train40",
    "density_coverage_train40", "memorised_train40",
]  # fmt: skip
# An extractor that costs nothing, as a user writes one.
PLUGIN = """\
import torch
from robsynth.metrics.extractors import register_extractor

class Pooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(255.0))

    def forward(self, x):
        small = torch.nn.functional.adaptive_avg_pool2d(x.float() / self.scale, 4).flatten(1)
        return small, small[:, :10]

register_extractor("pooled", lambda device: Pooled().to(device))
"""


def pixels(images):
    return images.permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture
def judge():
    network = build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval()
    return JudgeExtractor(network, "0123456789ab")


@pytest.fixture
def evaluation(few_digits, judge):
    return Evaluation(Metrics(PROTOCOLS, 10, 3), CPU, "fp32", few_digits, judge=judge)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """torch-fidelity's file as a user has it, but for the final layer, which is random."""
    path = tmp_path_factory.mktemp("weights") / "weights-inception-2015-12-05-6726825d.pth"
    torch.save(whole_state(seed=0), path)
    return path


def test_every_figure_has_its_protocol_and_missing_ones_their_reason(evaluation, few_digits):
    images = pixels(few_digits.test.images)
    mask = np.zeros_like(images)
    mask[:, 8:16, 8:16] = 255
    samples = MemorySamples("x", SampleSet(images, few_digits.test.labels.numpy(), original=255 - images, mask=mask))
    figures = evaluation.measure("digits", samples)
    found = {(figure.metric, figure.protocol.name): figure for figure in figures}
    assert len(found) == len(figures)
    by_metric = {figure.metric: figure for figure in figures if "efficientnet" not in figure.protocol.name}
    assert set(by_metric) <= set(METRICS)
    assert {"fid", "kid", "is", "is_share", "precision", "recall", "density", "coverage", "copies", "memorised",
            "judge_score", "judge_score_share", "judge_share", "psnr", "ssim", "psnr_masked", "ssim_masked",
            "lpips"} <= set(by_metric)  # fmt: skip
    fid = by_metric["fid"]
    assert fid.protocol.name == "fid20_train-mnist5k"
    assert few_digits.train.fingerprint in fid.protocol.details["reference"]
    assert "a16e4d89c0ecbc17a915dd76ea9e41211aa82562" in str(fid.protocol.details["weights"])
    assert fid.interval[0] < fid.value < fid.interval[1]
    assert by_metric["is"].value is None
    assert "final layer" in by_metric["is"].why
    assert by_metric["lpips"].value is None
    standin = {figure.metric: figure for figure in figures if "efficientnet" in figure.protocol.name}
    assert standin["is"].value > 1
    assert standin["is_share"].value > 0
    assert all(figure.count == 20 for figure in figures)
    assert by_metric["judge_share"].per_class.keys() == {few_digits.label_names[i] for i in few_digits.test.labels}


@pytest.mark.parametrize("suffix", ["", "_clean"])
def test_the_reference_against_itself_is_nothing(few_digits, suffix):
    evaluation = Evaluation(Metrics([f"fid{suffix}", f"memorised{suffix}"], 0, 1), CPU, "fp32", few_digits)
    found = {f.metric: f.value for f in evaluation.measure("self", DataSamples("self", few_digits.train, 40))}
    assert found["fid"] == pytest.approx(0, abs=1e-3)
    assert found["copies"] == 40
    assert found["memorised"] == 1


def test_figures_are_torch_fidelitys(weights, digits, tmp_path):
    """The same PNG files, weights and seeds."""
    from torch_fidelity import calculate_metrics

    for name, images in (("samples", digits.test), ("real", digits.train)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(pixels(images.pixels(range(30)))):
            Image.fromarray(image.repeat(3, 2)).save(tmp_path / name / f"{i:03}.png")
    theirs = calculate_metrics(
        input1=str(tmp_path / "samples"), input2=str(tmp_path / "real"), cuda=False, isc=True, fid=True, kid=True,
        prc=False, verbose=False, cache=False, kid_subsets=7, kid_subset_size=20, batch_size=16,
        feature_extractor_weights_path=str(weights), save_cpu_ram=False,
    )  # fmt: skip
    settings = Metrics(["fid_train30", "kid_train30_7x20", "is"], 0, 1, inception_weights=str(weights))
    found = Evaluation(settings, CPU, "fp32", digits).measure("x", DataSamples("x", digits.test, 30))
    ours = {figure.metric: figure for figure in found}
    assert ours["fid"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert ours["kid"].value / 1000 == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-5)
    assert ours["kid"].spread / 1000 == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-5)
    assert ours["is"].value == pytest.approx(theirs["inception_score_mean"], abs=1e-5)
    assert ours["is"].spread == pytest.approx(theirs["inception_score_std"], abs=1e-5)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "pooled.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return Metrics(["fid_pooled", "kid_5x10_pooled", "is_2splits_pooled"], 0, 1, plugins=["pooled"])


def values(figures):
    return {figure.metric: figure.value for figure in figures}


def test_figures_do_not_depend_on_chunks_or_on_an_interruption(plugin, few_digits, digits, monkeypatch):
    samples = MemorySamples("x", SampleSet(pixels(digits.test.images[:130])))
    whole = values(Evaluation(plugin, CPU, "fp32", few_digits).measure("x", samples))
    monkeypatch.setattr(features, "CHUNK", 37)
    monkeypatch.setenv("ROBSYNTH_CACHE", str(cache_directory() / "other"))
    evaluation = Evaluation(plugin, CPU, "fp32", few_digits)
    extractor = evaluation.sets.extractor(parse("fid_pooled"))
    calls = []

    def dies_at_the_third(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return type(extractor).__call__(extractor, images)

    evaluation.sets._opened["pooled", "fp32"] = Dying(extractor, dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluation.measure("x", samples)
    again = values(Evaluation(plugin, CPU, "fp32", few_digits).measure("x", samples))
    # Sums in float64 differ in their last digits with the chunks that they are made of.
    assert again == pytest.approx(whole, rel=1e-6)


class Dying:
    """An extractor that stops in the middle."""

    def __init__(self, extractor, call):
        self.extractor, self.call = extractor, call

    def __getattr__(self, name):
        return getattr(self.extractor, name)

    def __call__(self, images):
        return self.call(images)


def test_changed_pixels_never_get_an_old_figure_and_equal_ones_are_not_measured_again(plugin, few_digits, monkeypatch):
    images = pixels(few_digits.test.images)
    first = values(Evaluation(plugin, CPU, "fp32", few_digits).measure("x", MemorySamples("x", SampleSet(images))))
    changed = images.copy()
    changed[3, 5, 5] ^= 255
    second = values(Evaluation(plugin, CPU, "fp32", few_digits).measure("x", MemorySamples("x", SampleSet(changed))))
    assert second["fid"] != first["fid"]

    def never(self, images):
        raise AssertionError("computed again")

    evaluation = Evaluation(plugin, CPU, "fp32", few_digits)
    monkeypatch.setattr(type(evaluation.sets.extractor(parse("fid_pooled"))), "__call__", never)
    assert values(evaluation.measure("x", MemorySamples("x", SampleSet(images.copy())))) == first


def test_changed_weights_never_get_an_old_figure(plugin, few_digits, tmp_path):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    first = Evaluation(plugin, CPU, "fp32", few_digits).measure("x", samples)[0]
    (tmp_path / "pooled2.py").write_text(PLUGIN.replace("255.0", "200.0").replace('"pooled"', '"pooled2"'))
    names = [name.replace("pooled", "pooled2") for name in plugin.protocols]
    other = Evaluation(Metrics(names, 0, 1, plugins=["pooled2"]), CPU, "fp32", few_digits).measure("x", samples)[0]
    assert other.value != first.value
    assert other.protocol.name != first.protocol.name


def test_a_damaged_copy_is_computed_anew(plugin, few_digits):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    evaluation = Evaluation(plugin, CPU, "fp32", few_digits)
    ours = evaluation.sets.features(parse("fid_pooled"), samples, evaluation.inspect("x", samples))
    first = ours.all()
    for path in ours._computed():
        path.write_bytes(b"damaged")
    assert np.array_equal(ours.all(), first)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["fid50k_train"], "samples: found 20 images, but fid50k_train needs 50000"),
        (["fid_train41"], "reference: .* has 40 images, but fid_train41 needs 41"),
        (["kid"], r"kid20_train draws subsets of 1000, found 20 images \(x\); allowed: e\.g\. kid_train_50x10"),
        (["fid_no_such_network"], "no_such_network"),
        (["fid_judge"], "judge"),
    ],
)
def test_what_cannot_be_measured_is_refused(names, complaint, few_digits):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    with pytest.raises(RequestError, match=complaint):
        Evaluation(Metrics(names, 0, 1), CPU, "fp32", few_digits).measure("x", samples)


def test_images_of_another_size_are_refused(evaluation, few_digits):
    half = MemorySamples("x", SampleSet(pixels(few_digits.test.images)[:, ::2]))
    with pytest.raises(RequestError, match=r"images are \(16, 32, 1\) .* allowed: \(32, 32, 1\), as in mnist5k"):
        evaluation.measure("x", half)


def test_labels_of_other_classes_are_refused(plugin, few_digits):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images), np.full(20, 10)))
    with pytest.raises(RequestError, match="labels from 10 to 10, allowed: 0 to 9, the classes of mnist5k"):
        Evaluation(plugin, CPU, "fp32", few_digits).measure("x", samples)


def test_classes_without_labels_have_no_figure(plugin, few_digits):
    evaluation = Evaluation(Metrics(["class_fid_pooled"], 0, 1, plugins=["pooled"]), CPU, "fp32", few_digits)
    (figure,) = evaluation.measure("x", MemorySamples("x", SampleSet(pixels(few_digits.test.images))))
    assert figure.value is None
    assert "no classes" in figure.why


def test_exported_statistics_stand_for_their_data(few_digits, tmp_path):
    """Through the command line: made once, measured against without the data set, refused to another network."""
    # Of a smaller network than Inception.
    words = ["statistics", "reference=mnist5k", "protocol=fid_train40_efficientnet_lite0", "out=mnist40.npz"]
    made = robsynth(*words, cwd=tmp_path).json
    assert made["count"] == 40
    np.save(tmp_path / "samples.npy", pixels(few_digits.test.images))
    common = ["evaluate", "tracker=none", "samples=samples.npy", "metrics.resamples=5"]
    fid = "metrics.protocols=[fid_efficientnet_lite0]"
    against = robsynth(*common, "statistics=mnist40.npz", fid, "out=a", cwd=tmp_path).json
    direct = robsynth(*common, "metrics.protocols=[fid_train40_efficientnet_lite0]", "out=b", cwd=tmp_path).json
    assert against["figures"][0]["value"] == pytest.approx(direct["figures"][0]["value"], rel=1e-6)
    assert "mnist5k/train, first 40" in str(against["protocols"])
    refused = robsynth(*common, "statistics=mnist40.npz", "metrics.protocols=[fid]", "out=c", cwd=tmp_path)
    assert refused.status == 2
    assert "was made with efficientnet_lite0" in refused.complaint
    with np.load(tmp_path / "mnist40.npz") as ours:
        np.savez(tmp_path / "theirs.npz", mu=ours["mu"], sigma=ours["sigma"])
    theirs = robsynth(*common, "statistics=theirs.npz", fid, "out=d", cwd=tmp_path).json
    assert theirs["figures"][0]["value"] == pytest.approx(against["figures"][0]["value"])
    assert "made elsewhere" in str(theirs["protocols"])


def test_statistics_that_are_none_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", mu=np.zeros(3))
    with pytest.raises(RequestError, match=r"a\.npz has no arrays mu"):
        load_statistics(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(RequestError, match="NaN"):
        load_statistics(tmp_path / "b.npz")
    with pytest.raises(RequestError, match="no file"):
        load_statistics(tmp_path / "c.npz")


def test_the_command_measures_what_others_made_and_a_repetition_takes_no_time(few_digits, tmp_path):
    """An ADM-style file with labels, a judge's checkpoint and a plugin of the user's own, as a user would."""
    labels = few_digits.test.labels.numpy()
    np.savez(tmp_path / "gan.npz", arr_0=pixels(few_digits.test.images), arr_1=labels)
    about = {"arch": "residual", "widths": [4, 8], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
             "label_names": list(few_digits.label_names)}  # fmt: skip
    save_classifier(tmp_path / "judge.safetensors", build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]), about)
    (tmp_path / "pooled.py").write_text(PLUGIN)
    words = ["evaluate", "tracker=none", "samples=gan.npz", "judge=judge.safetensors", "metrics.plugins=[pooled]",
             "metrics.protocols=[fid_train_pooled,is_2splits_efficientnet_lite0]", "metrics.resamples=5"]  # fmt: skip
    first = robsynth(*words, "out=a", cwd=tmp_path)
    assert {"fid", "is", "is_share", "judge_score", "judge_share"} <= {f["metric"] for f in first.json["figures"]}
    assert (tmp_path / first.json["report"]).is_file()
    again = robsynth(*words, "out=b", cwd=tmp_path)
    assert again.json["figures"] == first.json["figures"]
    measured = json.loads((tmp_path / "b" / "stages" / "measure.json").read_text())
    assert measured["wall_seconds"] < 2


def test_folders_that_are_called_like_classes_say_what_their_images_show(few_digits, tmp_path):
    for i, (image, label) in enumerate(zip(pixels(few_digits.test.images), few_digits.test.labels, strict=True)):
        folder = tmp_path / "images" / few_digits.label_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(folder / f"{i}.png")
    (tmp_path / "pooled.py").write_text(PLUGIN)
    words = [
        "evaluate",
        "tracker=none",
        "samples=images",
        "metrics.plugins=[pooled]",
        "metrics.protocols=[class_fid_train_pooled]",
    ]
    (figure,) = robsynth(*words, cwd=tmp_path).json["figures"]
    assert figure["metric"] == "class_fid"
    assert "no classes" not in figure.get("why", "")


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Statistics of 2,000 and of 20,000 images of 3 x 32 x 32: the same peak, but for what the shapes take."""
    (tmp_path / "pooled.py").write_text(PLUGIN)
    script = """
import sys, resource, numpy as np, torch
sys.path.insert(0, ".")
from robsynth.config import Metrics
from robsynth.data import DataSet, MemoryImages
from robsynth.metrics.evaluate import Evaluation
from robsynth.samples import open_samples
noise = torch.randint(0, 256, (100, 3, 64, 64), dtype=torch.uint8)
few = MemoryImages("few", noise, torch.zeros(100, dtype=torch.int64), ["a"])
settings = Metrics(["fid_pooled"], 0, 1, plugins=["pooled"])
evaluation = Evaluation(settings, torch.device("cpu"), "fp32", DataSet("few", few, few, "few"))
evaluation.measure("x", open_samples(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    peaks = []
    for count in (1_000, 20_000):
        noise = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
        np.savez(tmp_path / f"{count}.npz", arr_0=noise)
        done = subprocess.run(
            [sys.executable, "-c", script, f"{count}.npz"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "ROBSYNTH_CACHE": str(tmp_path / "cache")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 100, peaks
