"""Figures against closed forms and against the libraries that define them."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robsynth.classifiers import build_classifier
from robsynth.config import Metrics
from robsynth.errors import RequestError
from robsynth.metrics import distances, pairs
from robsynth.metrics.evaluate import Evaluation, Judge, cache_directory
from robsynth.metrics.figures import METRICS
from robsynth.metrics.inception import Inception, Weights, find_weights, torchscript_tensors
from robsynth.samples import SampleSet

CPU = torch.device("cpu")
SMALL = Metrics("train", 40, 5, 10, 2, 3)


@pytest.fixture(scope="module")
def inception():
    return Inception(find_weights(), "fp32", CPU)


@pytest.fixture(scope="module")
def evaluation(inception, few_digits):
    judge = Judge(build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval(), "0123", few_digits.label_names)
    return Evaluation(SMALL, inception, few_digits.train, judge, 0, CPU)


def gaussian(mean, scale, count, seed):
    return np.random.default_rng(seed).normal(mean, scale, (count, 6)).astype(np.float32)


def test_fid_of_a_set_with_itself_is_nothing():
    a = gaussian(0, 1, 50, 0)
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_fid_of_a_shifted_set_is_the_square_of_the_shift():
    a = gaussian(0, 1, 200, 0).astype(np.float64)
    shift = np.arange(6)
    assert distances.frechet_distance(a, a + shift) == pytest.approx((shift**2).sum())


def test_fid_of_a_scaled_set_is_the_closed_form():
    a = gaussian(0, 1, 200, 0).astype(np.float64)
    a -= a.mean(0)
    variances = np.square(a).sum() / 199
    assert distances.frechet_distance(a, 3 * a) == pytest.approx(variances * (3 - 1) ** 2)


@given(n=st.integers(3, 30), m=st.integers(3, 30), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_fid_is_symmetric_and_not_negative(n, m, seed):
    a, b = gaussian(0, 1, n, seed), gaussian(0.5, 2, m, seed + 100)
    there, back = distances.frechet_distance(a, b), distances.frechet_distance(b, a)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
    assert there >= -1e-9


@pytest.mark.parametrize(("n", "m"), [(300, 400), (300, 20)])
def test_fid_is_torch_fidelitys(n, m):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = gaussian(0, 1, n, 0).astype(np.float64), gaussian(0.3, 1.5, m, 1).astype(np.float64)
    statistics = [fid_features_to_statistics(torch.from_numpy(part)) for part in (a, b)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distances.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_kid_of_equal_distributions_is_about_nothing_and_does_not_touch_the_global_generator():
    state = torch.random.get_rng_state()
    mean, spread = distances.kernel_distance(gaussian(0, 1, 200, 0), gaussian(0, 1, 200, 1), 20, 50, seed=0)
    assert abs(mean) < 3 * spread
    far, _ = distances.kernel_distance(gaussian(0, 1, 200, 0), gaussian(2, 1, 200, 1), 20, 50, seed=0)
    assert far > 10 * abs(mean)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_score_of_sure_and_varied_answers_is_the_number_of_classes():
    sure = np.eye(4, dtype=np.float32).repeat(25, 0) * 100
    assert distances.inception_score(sure, 1, 0)[0] == pytest.approx(4)
    assert distances.inception_score(np.zeros((100, 4), np.float32), 1, 0)[0] == pytest.approx(1)


def test_pairs_are_compared_image_by_image():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    random = np.random.default_rng(0)
    a = random.integers(0, 256, (4, 32, 32, 1), dtype=np.uint8)
    b = np.clip(a + random.normal(0, [[[[3]]], [[[10]]], [[[30]]], [[[60]]]], a.shape), 0, 255).astype(np.uint8)
    assert pairs.psnr(a, b) == pytest.approx(
        np.mean([peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)])
    )
    assert pairs.psnr(a, a) == float("inf")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    padded = [[np.pad(part[:, :, 0], 5, "reflect") for part in pair] for pair in zip(a, b, strict=True)]
    expected = [structural_similarity(*pair, full=True, **options)[1][5:-5, 5:-5].mean() for pair in padded]
    assert pairs.ssim(a, b) == pytest.approx(np.mean(expected), abs=1e-6)
    assert pairs.ssim(a, a) == pytest.approx(1)


def test_the_packages_weights_give_the_features_of_the_packages_own_network(inception, digits):
    """The body is copied tensor by tensor: its TorchScript, run as its author meant it, has to agree."""
    images = digits.test.head(3).images.permute(0, 2, 3, 1).numpy()
    ours = inception.features(images, "test")["2048"]
    assert ours.shape == (3, 2048)

    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.jit.load(str(find_weights().path)).eval()
    x = digits.test.head(3).images.expand(-1, 3, -1, -1).float()
    x = (interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False) - 128) / 128
    with torch.inference_mode():
        found = theirs(x)
    expected = (found[0] if isinstance(found, tuple | list) else found).reshape(3, -1).numpy()
    np.testing.assert_allclose(ours, expected[:, :2048], atol=2e-5)


def test_features_do_not_depend_on_what_else_is_measured(inception, digits):
    images = digits.test.head(28).images.permute(0, 2, 3, 1).numpy()
    together = inception.features(images, "test")["2048"]
    assert np.array_equal(inception.features(images[25:], "test")["2048"], together[25:])


def test_bf16_features_are_close_and_called_otherwise(inception, digits):
    half = Inception(find_weights(), "bf16", CPU)
    images = digits.test.head(2).images.permute(0, 2, 3, 1).numpy()
    a, b = half.features(images, "test")["2048"], inception.features(images, "test")["2048"]
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99
    assert half.name != inception.name


def test_weights_that_were_changed_are_refused(tmp_path):
    copy = tmp_path / "default_1.pt"
    shutil.copy(find_weights().path, copy)
    with copy.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\0\0\0")
    with pytest.raises(RequestError, match=r"default_1\.pt: sha1 .*reinstall"):
        Inception(Weights(copy, "copy", has_logits=False), "fp32", CPU)


def test_an_archive_with_more_than_tensors_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"path": Path("/")}, path)
    with pytest.raises(RequestError, match=r"model\.pt: holds pathlib"):
        torchscript_tensors(path)


def test_explicit_weights_are_torch_fidelitys_file_or_an_error(tmp_path):
    with pytest.raises(RequestError, match=r"inception_weights: no file"):
        find_weights(str(tmp_path / "absent.pth"))
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    with pytest.raises(RequestError, match=r"other\.pth"):
        Inception(find_weights(str(other)), "fp32", CPU)


def test_weights_with_the_final_layer_give_the_score(tmp_path, inception, few_digits):
    """The whole network, its final layer random: what a user with torch-fidelity's file gets."""
    from robsynth.metrics.inception import _empty_network, _load

    torch.manual_seed(0)
    whole = _empty_network(["2048", "logits_unbiased"]).state_dict()
    whole.update({name: value for name, value in _load(find_weights()).state_dict().items() if "fc" not in name})
    path = tmp_path / "weights.pth"
    torch.save(whole, path)
    extractor = Inception(find_weights(str(path)), "fp32", CPU)
    images = few_digits.test.images.permute(0, 2, 3, 1).numpy()
    found = extractor.features(images, "test")
    assert found["logits"].shape == (20, 1008)
    np.testing.assert_allclose(found["2048"], inception.features(images, "test")["2048"], atol=1e-5)
    score = Evaluation(SMALL, extractor, few_digits.train, None, 0, CPU)._inception_score("x", found["logits"], 20)
    assert score.value > 1
    assert score.why is None


def test_every_figure_has_its_protocol_and_missing_ones_their_reason(evaluation, few_digits):
    images = few_digits.test.images.permute(0, 2, 3, 1).numpy()
    samples = SampleSet(images, few_digits.test.labels.numpy(), original=255 - images)
    figures = {figure.metric: figure for figure in evaluation.measure("digits", samples)}
    assert set(figures) == {"fid", "kid", "is", "judge_score", "judge_share", "psnr", "ssim"} <= set(METRICS)
    assert figures["fid"].protocol.name == "fid-inception2015-fp32-mnist5k_train[:40]40-n20"
    details = figures["fid"].protocol.details
    assert "a16e4d89c0ecbc17a915dd76ea9e41211aa82562" in details["weights"]
    assert few_digits.train.fingerprint in details["reference"]
    assert figures["is"].value is None
    assert "final layer" in figures["is"].why
    assert all(figure.value is not None for name, figure in figures.items() if name != "is")
    assert figures["judge_share"].as_dict().keys() == {"subject", "metric", "value", "protocol"}


def test_reference_features_are_kept_by_content(evaluation, inception, few_digits):
    first = evaluation._reference_features
    kept = list((cache_directory() / "features").glob("*.npz"))
    assert kept

    class Unused:
        name, digest = inception.name, inception.digest

        def features(self, *_):
            raise AssertionError("computed again")

    again = Evaluation(SMALL, Unused(), few_digits.train, None, 0, CPU)
    assert np.array_equal(again._reference_features, first)
    with pytest.raises(AssertionError, match="computed again"):
        _ = Evaluation(replace(SMALL, reference_count=20), Unused(), few_digits.test, None, 0, CPU)._reference_features
    kept[0].write_bytes(b"damaged")
    assert np.array_equal(Evaluation(SMALL, inception, few_digits.train, None, 0, CPU)._reference_features, first)


def test_samples_that_cannot_be_measured_are_refused(evaluation, few_digits):
    images = few_digits.test.images.permute(0, 2, 3, 1).numpy()
    with pytest.raises(RequestError, match=r"allowed: \(32, 32, 1\)"):
        evaluation.measure("x", SampleSet(images[:, ::2]))
    with pytest.raises(RequestError, match="kid_subset_size: found 10, allowed: at most the 5 images"):
        evaluation.measure("x", SampleSet(images[:5]))
