"""What a module of one's own registers composes like what is here."""

import pytest

from robsynth.config import ARCHITECTURES, NORMS, OBJECTIVES, TASKS
from robsynth.config.compose import load_config
from robsynth.config.help import usage
from robsynth.errors import RequestError

MODULE = """
from dataclasses import dataclass
from robsynth.config import ARCHITECTURES, NORMS, OBJECTIVES, TASKS, ClassTask, number

@dataclass
class Dimming(ClassTask):
    norm: str = "hypercube"
    eps: float = 2.0
    steps: int = 7
    step_size: float = 0.5
    keep: str = "last"
    objective: str = "margin"
    depth: float = number(least=0, most=1, default=0.25, help="how dark")

NORMS.add("hypercube")
OBJECTIVES.add("margin")
TASKS.add("dimming", Dimming)
ARCHITECTURES.add("narrow", ("widths",))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The word that asks for a module in the working directory; what it registered is forgotten afterwards."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield f"plugins=[{name}]"
    for names, added in ((NORMS, "hypercube"), (OBJECTIVES, "margin"), (TASKS, "dimming"), (ARCHITECTURES, "narrow")):
        names.pop(added, None)


def test_a_task_of_ones_own_has_its_defaults_and_its_checks(plugin):
    found = load_config("synthesize", [plugin, "task=dimming", "task.depth=0.5"])
    settings = found.tasks["dimming"]
    assert type(settings).__name__ == "Dimming"
    assert (settings.depth, settings.steps, settings.norm, settings.objective) == (0.5, 7, "hypercube", "margin")
    for word, complaint in [
        ("task.depth=2", r"^tasks\.dimming\.depth: found 2\.0, allowed: a number >= 0 and <= 1$"),
        ("task.dpth=1", r"^tasks\.dimming\.dpth: no such key; did you mean tasks\.dimming\.depth\?"),
        ("task.norm=l3", r"^tasks\.dimming\.norm: found 'l3', allowed: l2, linf, none, hypercube$"),
    ]:
        with pytest.raises(RequestError, match=complaint):
            load_config("synthesize", [plugin, "task=dimming", word])
    assert "tasks.dimming.depth=0.25" in usage("synthesize")


def test_norms_objectives_and_networks_of_ones_own_are_allowed(plugin):
    words = [plugin, "tasks.generation.norm=hypercube", "tasks.generation.objective=margin", "adversary.norm=hypercube"]
    found = load_config("reproduce", [*words, "classifier=narrow", "classifier.widths=[8]", "select=[dimming]"])
    assert (found.tasks["generation"].norm, found.tasks["generation"].objective) == ("hypercube", "margin")
    assert (found.adversary.norm, found.classifier.arch, found.classifier.widths) == ("hypercube", "narrow", [8])
    assert found.select == ["dimming"]
    with pytest.raises(RequestError, match=r"^classifier\.widths: found an empty list, but narrow needs it$"):
        load_config("train", [plugin, "classifier=narrow"])
    with pytest.raises(RequestError, match=r"^classifier: found 'wide', allowed: .*narrow"):
        load_config("train", [plugin, "classifier=wide"])


def test_a_name_is_taken_once():
    with pytest.raises(RequestError, match=r"^plugins: found the norm 'l2', allowed: a name like my_own, not yet"):
        NORMS.add("l2")
    with pytest.raises(RequestError, match="the task 'my-task'"):
        TASKS.add("my-task")


def test_installed_packages_are_plugins_too(tmp_path, monkeypatch):
    (tmp_path / "installed_norms.py").write_text("from robsynth.config import NORMS\nNORMS.add('installed')\n")
    about = tmp_path / "some-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[robsynth.plugins]\nnorms = installed_norms\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert load_config("train", ["adversary.norm=installed"]).adversary.norm == "installed"
    finally:
        NORMS.pop("installed", None)


def test_a_module_that_fails_is_named(tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text("raise ValueError('not today')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=r"^plugins: failing_module cannot be imported \(ValueError: not today\)$"):
        load_config("evaluate", ["metrics.plugins=[failing_module]"])
