"""What is planned is what is done: the same stages, and as many passes through as many networks."""

from collections import Counter

import pytest
import torch

from robsynth.classifiers import Classifier
from robsynth.commands import reproduce
from robsynth.config.compose import load_config
from robsynth.lab import runner
from robsynth.lab.context import open_context
from robsynth.lab.plan import plan
from robsynth.metrics.extractors.extractor import Extractor

WORDS = (
    "scale=smoke", "select=[generation,inpainting,feature_painting]", "curves.steps=[2]", "curves.eps=[]",
    "metrics.protocols=[fid_train40_efficientnet_lite0,is_2splits_efficientnet_lite0,memorised_train40_efficientnet_lite0]",
    "recipe.ema=0.5", "tracker=none", "precision=fp32",
)  # fmt: skip


@pytest.fixture
def passed(monkeypatch):
    """By stage and network, how many images went there or back."""
    counts: Counter[str] = Counter()
    by_stage: dict[str, Counter[str]] = {}
    through, extract, do = Classifier.representation, Extractor.__call__, runner._do
    extracting = []

    def representation(network, x, fake=False):
        found = through(network, x, fake)
        if not extracting:
            # The judge of this experiment is of another architecture than the classifier.
            name = "classifier" if isinstance(network.features[1], torch.nn.BatchNorm2d) else "judge"
            ways_back = 2 if network.head.weight.requires_grad else 1
            counts[name] += len(x)
            if found.requires_grad:
                found.register_hook(lambda gradient: counts.update({name: ways_back * len(gradient)}))
        return found

    def extracted(extractor, images):
        counts[extractor.name] += len(images)
        extracting.append(extractor)
        try:
            return extract(extractor, images)
        finally:
            extracting.pop()

    def counted(context, stage):
        before = counts.copy()
        do(context, stage)
        by_stage[stage.name] = counts - before

    monkeypatch.setattr(Classifier, "representation", representation)
    monkeypatch.setattr(Extractor, "__call__", extracted)
    monkeypatch.setattr(runner, "_do", counted)
    return by_stage


@pytest.mark.slow
def test_a_plan_is_what_is_done(passed, tmp_path, monkeypatch):
    """Stage by stage; the rival's passes, which are nobody's but its own, are not counted here."""
    monkeypatch.setenv("ROBSYNTH_CACHE", str(tmp_path / "cache"))
    config = load_config("reproduce", [*WORDS, f"out={tmp_path / 'run'}"])
    context = open_context("reproduce", config)
    planned = {stage.name: stage.cost(context) for stage in reproduce.stages(context)}
    said = plan("reproduce", config)
    assert [stage["stage"] for stage in said["stages"]] == list(planned)
    assert [stage["passes"] for stage in said["stages"]] == [sum(cost.passes.values()) for cost in planned.values()]
    passed.clear()
    reproduce.run(config)
    assert list(passed) == list(planned)
    for name, cost in planned.items():
        expected = {
            key.partition(" ")[0]: count for key, count in cost.passes.items() if key not in ("critic", "generator")
        }
        if name == "accuracy":
            # An image that is lost at once is attacked no more.
            assert all(0 < passed[name][key] <= count for key, count in expected.items())
        elif name == "measure real held-out images" or name.startswith("measure at "):
            # Some were looked at before: for the reference, or for the curve's first point.
            assert all(passed[name][key] <= count for key, count in expected.items())
        else:
            assert dict(passed[name]) == expected, name


def test_what_a_plan_says_of_memory_and_operations_follows_from_the_network(tmp_path):
    config = load_config("reproduce", ["scale=smoke", "precision=fp32"])
    said = plan("reproduce", config)
    assert said["network"]["arch"] == "compact"
    stages = {stage["stage"]: stage for stage in said["stages"]}
    painted = stages["synthesize generation"]
    assert painted["tera_operations"] == pytest.approx(
        painted["passes"] * said["network"]["gflop_per_forward"] / 1e3, rel=0.05, abs=0.02
    )
    assert all(stage["hours_here"] > 0 or stage["passes"] < 10_000 for stage in said["stages"])
    assert stages["train wgan_gp"]["passes"] > 0
    assert torch.is_grad_enabled()
