"""A protocol's name says all, and says it one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robsynth.errors import RequestError
from robsynth.metrics.protocols import MEASURES, Measurement, parse

STANDARD = {
    "fid50k_train": Measurement("fid", 50_000, "train"),
    "fid10k_test": Measurement("fid", 10_000, "test"),
    "is50k": Measurement("is", 50_000),
    "kid": Measurement("kid", subsets=100, subset_size=1000),
    "precision_recall": Measurement("precision_recall", neighbours=3),
    "density_coverage10k_train10k_k7": Measurement("density_coverage", 10_000, "train", 10_000, neighbours=7),
    "fid50k_train_clean": Measurement("fid", 50_000, extractor="inception2015_clean"),
    "fid50k_train_torchmetrics": Measurement("fid", 50_000, extractor="inception2015_torchmetrics"),
    "is_efficientnet_lite0": Measurement("is", extractor="efficientnet_lite0"),
    "kid_train2000_50x250_bf16": Measurement("kid", None, "train", 2000, 50, 250, precision="bf16"),
    "fid_train_dinov2": Measurement("fid", extractor="dinov2"),
    "is_efficientnet_lite0_tf32": Measurement("is", extractor="efficientnet_lite0", precision="tf32"),
    "is_judge": Measurement("is", extractor="judge"),
    "judge_share": Measurement("judge_share", extractor="judge"),
}


@pytest.mark.parametrize(("name", "meaning"), STANDARD.items())
def test_a_name_means(name, meaning):
    assert parse(name) == meaning
    assert parse(meaning.name()) == meaning


def test_a_name_is_float32_unless_it_says_otherwise():
    assert parse("fid50k_train", fast="bf16").precision == "fp32"
    assert parse("fid50k_train_fast", fast="tf32").name("cifar10") == "fid50k_train_tf32-cifar10"
    assert parse("fid50k_train_fast", fast="bf16") == parse("fid50k_train_bf16")
    assert parse("fid50k_train_fast", fast="fp32").name("cifar10") == "fid50k_train-cifar10"


def test_counts_that_were_left_open_are_in_the_figures_name():
    assert parse("fid_train").of(400, 4000).name("cifar10") == "fid400_train4k-cifar10"
    assert parse("is_2splits").of(20).name() == "is20_2splits"


@given(
    kind=st.sampled_from(sorted(MEASURES)),
    count=st.none() | st.integers(2, 60_000),
    split=st.sampled_from(["train", "test"]),
    reference=st.none() | st.integers(2, 60_000),
    extractor=st.sampled_from(["inception2015", "inception2015_clean", "efficientnet_lite0", "my_net2", "judge"]),
    precision=st.sampled_from(["fp32", "bf16", "tf32"]),
)
def test_different_measurements_have_different_names(kind, count, split, reference, extractor, precision):
    neighbours = parse(kind).neighbours
    compares = MEASURES[kind].against == "split"
    asked = Measurement(
        kind, count, split if compares else "train", reference if compares else None, neighbours=neighbours,
        extractor=extractor, precision=precision,
    )  # fmt: skip
    assert parse(asked.name()) == asked


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("fod", r"metrics\.protocols: found 'fod', allowed: a name that begins with fid"),
        ("fid50k_train-x", r"fid50k_train-x: 'train-x' is not understood; allowed: _SPLIT"),
        ("fid_10x10", "only kid has subsets"),
        ("fid_2splits", "only is has splits"),
        ("fid_k3", "only precision_recall and density_coverage have neighbours"),
        ("kid_10x1", "found subset_size 1, allowed: at least 2"),
        ("is1", "found count 1, allowed: at least 2"),
    ],
)
def test_a_name_that_is_not_understood_is_refused(name, complaint):
    with pytest.raises(RequestError, match=complaint):
        parse(name)
