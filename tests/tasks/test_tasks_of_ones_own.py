"""A task, a network, a constraint and an objective of one's own: one file, which nothing here knows of."""

import sys
from dataclasses import asdict

import pytest
import torch

from robsynth.ascent import constraint, constraints, objectives
from robsynth.classifiers import NETWORKS, build_classifier, load_classifier, save_classifier
from robsynth.config import ARCHITECTURES, NORMS, OBJECTIVES, TASKS
from robsynth.config.registry import load_plugins
from robsynth.errors import RequestError
from robsynth.tasks import POSE, Synthesis
from robsynth.tasks.originals import from_data_set
from robsynth.tasks.synthesis import passes

PLUGIN = '''
from dataclasses import dataclass

import torch
from torch import nn

from robsynth.ascent import register_constraint, register_objective, towards
from robsynth.classifiers import register_network
from robsynth.config import ClassTask
from robsynth.tasks import Problem, register_task


def tiny(channels, widths):
    return nn.Sequential(*[nn.Conv2d(channels, widths[0], 3, 2), nn.BatchNorm2d(widths[0])]), widths[0]


class Darker:
    """Images that are darker than the centre, by up to eps."""

    def __init__(self, eps):
        self.eps = eps

    def step(self, x, gradient, step_size):
        return x + step_size * gradient.sign()

    def project(self, x, centre):
        return torch.minimum(torch.maximum(x, centre - self.eps), centre).clamp(0, 1)


def margin(logits, labels):
    """How far the class is ahead of the best other one."""
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True))[:, 0]


@dataclass
class Negative(ClassTask):
    norm: str = "darker"
    eps: float = 0.5
    steps: int = 3
    step_size: float = 0.1
    keep: str = "last"
    objective: str = "margin"
    grey: float = 1.0


def negative(f, batch, s):
    """max margin(x, y) below the negative of the image."""
    y = batch.wanted(batch.labels)
    return Problem(s.grey - batch.images, lambda x: towards(f(x), y, s.objective), wanted=y, original=batch.images)


register_network("tiny", tiny, ["widths"])
register_constraint("darker", Darker)
register_objective("margin", margin)
register_task("negative", Negative, negative)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The module of that name, imported as a plugin; what it registers is forgotten after the test."""
    known = (TASKS, POSE, ARCHITECTURES, NETWORKS, NORMS, constraints.CONSTRAINTS, OBJECTIVES, objectives.OBJECTIVES)
    before = [dict(names) for names in known]
    (tmp_path / "of_my_own.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    load_plugins(["of_my_own"])
    yield sys.modules["of_my_own"]
    del sys.modules["of_my_own"]
    for names, kept in zip(known, before, strict=True):
        names.clear()
        names.update(kept)


def test_a_plugins_task_runs_with_its_network_constraint_and_objective(plugin, few_digits, device):
    network = build_classifier("tiny", [6], 1, 10, [0.1], [0.3]).eval().to(device)
    settings = plugin.Negative()
    originals = from_data_set(few_digits.test, few_digits.label_names)
    synthesis = Synthesis("negative", settings, network, few_digits.label_names, (1, 32, 32), 0, "fp32", originals)
    problem, x = synthesis.run(torch.arange(4))
    torch.testing.assert_close(problem.start, 1 - problem.original)
    assert (x <= problem.start).all()
    assert (x >= problem.start - 0.5 - 1e-6).all()
    assert not torch.equal(x, problem.start)
    logits = network(x)
    others = logits.scatter(1, problem.wanted[:, None], -torch.inf)
    expected = logits.gather(1, problem.wanted[:, None])[:, 0] - others.amax(1)
    torch.testing.assert_close(problem.objective(x), expected)
    assert passes(settings, 4) == 4 * 2 * 3
    assert TASKS["negative"] is plugin.Negative
    assert "darker" in NORMS
    assert "margin" in OBJECTIVES
    assert asdict(settings)["grey"] == 1


def test_a_plugins_network_is_kept_and_read_again(plugin, tmp_path):
    network, path = build_classifier("tiny", [6], 1, 10, [0.1], [0.3]).eval(), tmp_path / "net.safetensors"
    about = {"arch": "tiny", "widths": [6], "channels": 1, "shape": [1, 32, 32], "dataset": "some",
             "label_names": list("0123456789")}  # fmt: skip
    save_classifier(path, network, about)
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(load_classifier(path)[0](images), network(images))


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ('register_task("inpainting", Negative, negative)', "the task 'inpainting'"),
        ('register_network("compact", tiny, ["widths"])', "the architecture 'compact'"),
        ('register_constraint("l2", Darker)', "the norm 'l2'"),
        ('register_objective("logit", margin)', "the objective 'logit'"),
        ('register_objective("no word", margin)', "the objective 'no word'"),
    ],
)
def test_names_that_are_taken_are_refused(line, taken, plugin, tmp_path):
    (tmp_path / "another.py").write_text(f"from of_my_own import *\n{line}\n")
    with pytest.raises(RequestError, match=rf"plugins: another cannot be imported .*found {taken}"):
        load_plugins(["another"])
    assert constraint("l2", 1) == constraints.L2(1)
