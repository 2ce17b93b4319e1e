"""Sets and pairs of images under protocols: parity with torch-fidelity, independence, caches, refusals."""

import copy
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from made import POOLED
from robsynth.classifiers import build_classifier
from robsynth.config import Metrics
from robsynth.config.registry import load_plugins
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.machine import Machine
from robsynth.metrics import Metric, register_metric
from robsynth.metrics.evaluate import Evaluation, images_through, reference_through
from robsynth.metrics.exported import load_statistics
from robsynth.metrics.extractors import Extractor, JudgeExtractor
from robsynth.metrics.extractors.inception import whole_state
from robsynth.metrics.protocols import MEASURES, parse
from robsynth.records.figures import METRICS
from robsynth.samples import MemorySamples, SampleSet, inspection

PROTOCOLS = [
    "fid_train40", "kid_train40_5x10", "is_2splits", "is_2splits_efficientnet_lite0", "precision_recall_train40",
    "density_coverage_train40", "memorised_train40",
]  # fmt: skip


def pixels(images):
    return images.permute(0, 2, 3, 1).contiguous().numpy()


def first(images, count):
    """The first images of a split, as samples."""
    return MemorySamples("x", SampleSet(pixels(images.pixels(range(count))), images.labels[:count].numpy()))


@pytest.fixture
def machine(device):
    return Machine(device)


@pytest.fixture
def judge(device):
    network = build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval().to(device)
    return JudgeExtractor(network, "0123456789ab")


@pytest.fixture
def evaluation(few_digits, judge, machine):
    return Evaluation(Metrics(PROTOCOLS, 10), machine, few_digits, judge=judge)


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
def test_the_reference_against_itself_is_nothing(few_digits, suffix, machine):
    evaluation = Evaluation(Metrics([f"fid{suffix}", f"memorised{suffix}"], 0), machine, few_digits)
    found = {f.metric: f.value for f in evaluation.measure("self", first(few_digits.train, 40))}
    assert found["fid"] == pytest.approx(0, abs=1e-3)
    assert found["copies"] == 40
    assert found["memorised"] == 1


@pytest.mark.slow
def test_figures_are_torch_fidelitys(weights, digits, tmp_path, machine):
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
    settings = Metrics(["fid_train30", "kid_train30_7x20", "is"], 0, inception_weights=str(weights))
    found = Evaluation(settings, machine, digits).measure("x", first(digits.test, 30))
    ours = {figure.metric: figure for figure in found}
    assert ours["fid"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert ours["kid"].value / 1000 == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-5)
    assert ours["kid"].spread / 1000 == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-5)
    assert ours["is"].value == pytest.approx(theirs["inception_score_mean"], abs=1e-5)
    assert ours["is"].spread == pytest.approx(theirs["inception_score_std"], abs=1e-5)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "pooled.py").write_text(POOLED)
    monkeypatch.syspath_prepend(tmp_path)
    load_plugins(["pooled"])
    return Metrics(["fid_pooled", "kid_5x10_pooled", "is_2splits_pooled"], 0)


def values(figures):
    return {figure.metric: figure.value for figure in figures}


def test_figures_do_not_depend_on_chunks_or_on_an_interruption(plugin, few_digits, digits, monkeypatch, machine):
    samples = MemorySamples("x", SampleSet(pixels(digits.test.images[:130])))
    whole = values(Evaluation(plugin, machine, few_digits).measure("x", samples))
    samples = MemorySamples("x", SampleSet(pixels(digits.test.images[:130])))
    monkeypatch.setattr(inspection, "CHUNK", 37)
    monkeypatch.setenv("ROBSYNTH_CACHE", str(cache_directory() / "other"))
    evaluation = Evaluation(plugin, machine, few_digits)
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
    again = values(Evaluation(plugin, machine, few_digits).measure("x", samples))
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


def test_changed_pixels_never_get_an_old_figure_and_equal_ones_are_not_measured_again(
    plugin, few_digits, monkeypatch, machine
):
    images = pixels(few_digits.test.images)
    first = values(Evaluation(plugin, machine, few_digits).measure("x", MemorySamples("x", SampleSet(images))))
    changed = images.copy()
    changed[3, 5, 5] ^= 255
    second = values(Evaluation(plugin, machine, few_digits).measure("x", MemorySamples("x", SampleSet(changed))))
    assert second["fid"] != first["fid"]

    def never(self, images):
        raise AssertionError("computed again")

    evaluation = Evaluation(plugin, machine, few_digits)
    monkeypatch.setattr(type(evaluation.sets.extractor(parse("fid_pooled"))), "__call__", never)
    assert values(evaluation.measure("x", MemorySamples("x", SampleSet(images.copy())))) == first


def test_changed_weights_never_get_an_old_figure(plugin, few_digits, tmp_path, machine):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    first = Evaluation(plugin, machine, few_digits).measure("x", samples)[0]
    (tmp_path / "pooled2.py").write_text(POOLED.replace("255.0", "200.0").replace('"pooled"', '"pooled2"'))
    names = [name.replace("pooled", "pooled2") for name in plugin.protocols]
    load_plugins(["pooled2"])
    other = Evaluation(Metrics(names, 0), machine, few_digits).measure("x", samples)[0]
    assert other.value != first.value
    assert other.protocol.name != first.protocol.name


def test_a_damaged_copy_is_computed_anew(plugin, few_digits, machine):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    evaluation = Evaluation(plugin, machine, few_digits)
    ours = evaluation.sets.features(parse("fid_pooled"), samples)
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
def test_what_cannot_be_measured_is_refused(names, complaint, few_digits, machine):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images)))
    with pytest.raises(RequestError, match=complaint):
        Evaluation(Metrics(names, 0), machine, few_digits).measure("x", samples)


def test_images_of_another_size_are_refused(evaluation, few_digits):
    half = MemorySamples("x", SampleSet(pixels(few_digits.test.images)[:, ::2]))
    with pytest.raises(RequestError, match=r"images are \(16, 32, 1\) .* allowed: \(32, 32, 1\), as in mnist5k"):
        evaluation.measure("x", half)


def test_labels_of_other_classes_are_refused(plugin, few_digits, machine):
    samples = MemorySamples("x", SampleSet(pixels(few_digits.test.images), np.full(20, 10)))
    with pytest.raises(RequestError, match="labels from 10 to 10, allowed: 0 to 9, the classes of mnist5k"):
        Evaluation(plugin, machine, few_digits).measure("x", samples)


def test_classes_without_labels_have_no_figure(plugin, few_digits, machine):
    evaluation = Evaluation(Metrics(["class_fid_pooled"], 0), machine, few_digits)
    (figure,) = evaluation.measure("x", MemorySamples("x", SampleSet(pixels(few_digits.test.images))))
    assert figure.value is None
    assert "no classes" in figure.why


def test_statistics_that_are_none_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", mu=np.zeros(3))
    with pytest.raises(RequestError, match=r"a\.npz has no arrays mu"):
        load_statistics(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(RequestError, match="NaN"):
        load_statistics(tmp_path / "b.npz")
    with pytest.raises(RequestError, match="no file"):
        load_statistics(tmp_path / "c.npz")


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Statistics of 1,000 and of 20,000 images of 3 x 64 x 64: the same peak, but for what the shapes take."""
    (tmp_path / "pooled.py").write_text(POOLED)
    script = """
import sys, torch
sys.path.insert(0, ".")
from robsynth.config import Metrics
from robsynth.config.registry import load_plugins
from robsynth.data import DataSet, MemoryImages
from robsynth.machine import CPU, Machine
from robsynth.metrics.evaluate import Evaluation
from robsynth.samples import open_samples
noise = torch.randint(0, 256, (100, 3, 64, 64), dtype=torch.uint8)
few = MemoryImages("few", noise, torch.zeros(100, dtype=torch.int64), ["a"])
load_plugins(["pooled"])
evaluation = Evaluation(Metrics(["fid_pooled"], 0), Machine(CPU), DataSet("few", few, few, "few"))
evaluation.measure("x", open_samples(sys.argv[1]))
# Not what getrusage says, which knows of the process that started this one, too.
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak) // 1024)
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


def test_the_judge_is_a_measure_like_others(few_digits, judge, machine):
    """Under its own names, in as many splits as the other score, once though it was asked for, and at a setting."""
    evaluation = Evaluation(Metrics(["is_2splits_efficientnet_lite0", "judge_share"], 10), machine, few_digits, judge)
    samples = first(few_digits.test, 20)
    found = {figure.metric: figure for figure in evaluation.beside("x", samples)}
    assert list(found) == ["judge_score", "judge_score_share", "judge_share"]
    names = [figure.protocol.name for figure in found.values()]
    assert names == [f"is20_2splits_judge-{judge.digest}"] * 2 + [f"judge_share20-{judge.digest}"]
    right = judge(samples.first().images)["logits"].argmax(1) == samples.wanted
    share = found["judge_share"]
    assert share.value == right.mean()
    assert share.interval[0] <= share.value <= share.interval[1]
    assert share.protocol.details == {**judge.describe(), "images": 20}
    assert sum(figure.metric == "judge_share" for figure in evaluation.measure("x", samples)) == 1
    curve = evaluation.at({"steps": 3}, "x", samples)
    assert [figure.at for figure in curve] == [{"steps": 3}] * 3
    unlabelled = MemorySamples("x", SampleSet(samples.first().images))
    assert [figure.metric for figure in evaluation.beside("x", unlabelled)] == ["judge_score", "judge_score_share"]


def test_what_goes_through_the_extractors_is_what_was_planned(
    plugin, few_digits, judge, machine, monkeypatch, tmp_path
):
    monkeypatch.setenv("ROBSYNTH_CACHE", str(tmp_path / "cache"))
    names = [
        "fid_train30_pooled",
        "kid_5x10_pooled",
        "is_2splits_efficientnet_lite0",
        "memorised_pooled",
        "fid10_judge",
    ]
    settings = Metrics(names, 0)
    evaluation, seen = Evaluation(settings, machine, few_digits, judge), {}
    plain = Extractor.__call__

    def counted(self, images):
        seen[self.name] = seen.get(self.name, 0) + len(images)
        return plain(self, images)

    monkeypatch.setattr(Extractor, "__call__", counted)
    evaluation.prepare(18)
    assert seen == reference_through(settings, machine, 18, train=40, test=20, judged=True)
    seen.clear()
    # Others than any of the reference.
    evaluation.measure("x", MemorySamples("x", SampleSet(255 - first(few_digits.test, 18).first().images)))
    assert seen == images_through(settings, machine, 18, judged=True)


def test_features_of_one_kind_of_device_are_not_those_of_another(plugin, few_digits, machine):
    evaluation = Evaluation(plugin, machine, few_digits)
    ours = evaluation.sets.features(parse("fid_pooled"), first(few_digits.test, 20))
    there = dataclasses.replace(ours, extractor=copy.copy(ours.extractor))
    there.extractor.device = torch.device("meta")
    assert there.extractor.digest == ours.extractor.digest
    assert there.key != ours.key
    assert not set(there._paths) & set(ours._paths)


METRIC = """\
from robsynth.metrics import Metric, register_metric

def brightness(asked, sets):
    ours, real = sets.samples.all(), sets.reference.all()
    return {"brightness_gap": {"value": float(abs(ours.mean() - real.mean()))}}

gap = Metric("gap in brightness", "of the range", "lower", 3)
register_metric("brightness", {"brightness_gap": gap}, brightness)
"""


@pytest.fixture
def registries():
    """What plugins extend, as it was before when a test is over."""
    before = [(registry, dict(registry)) for registry in (MEASURES, METRICS)]
    yield
    for registry, content in before:
        registry.clear()
        registry.update(content)


def test_a_metric_from_outside_is_one_file(plugin, few_digits, machine, tmp_path, registries):
    (tmp_path / "my_metric.py").write_text(METRIC)
    load_plugins(["my_metric"])
    evaluation = Evaluation(Metrics(["brightness_train30_pooled"], 0), machine, few_digits)
    (figure,) = evaluation.measure("x", first(few_digits.test, 20))
    means = [images.float().mean() / 255 for images in (few_digits.test.images, few_digits.train.images[:30])]
    assert (figure.metric, figure.count) == ("brightness_gap", 20)
    assert figure.value == pytest.approx(float(abs(means[0] - means[1])), abs=1e-6)
    assert figure.protocol.name.startswith("brightness20_train30_pooled-mnist5k-")
    assert METRICS["brightness_gap"].better == "lower"


@pytest.mark.parametrize(
    ("kind", "metrics", "complaint"),
    [
        ("fid", {}, "found 'fid', allowed: a name like my_metric, not yet taken"),
        ("mine2", {}, "found 'mine2', allowed"),
        ("mine", {"psnr": Metric("mine", "dB", "higher", 1)}, "the metric 'psnr' is PSNR; allowed: another name"),
    ],
)
def test_names_of_metrics_that_are_taken_are_refused(kind, metrics, complaint):
    with pytest.raises(RequestError, match=f"^register_metric: {complaint}"):
        register_metric(kind, metrics, lambda asked, sets: {})
