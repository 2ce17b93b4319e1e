"""What a command line may say, and what it is told when it says something else."""

import pytest

from robsynth.config import TASKS
from robsynth.config.commands import COMMANDS, Config
from robsynth.config.compose import load_config, resolved
from robsynth.config.registry import bundles, options
from robsynth.errors import RequestError


def test_the_defaults_are_whole_and_of_their_types():
    config = load_config("reproduce", [])
    assert isinstance(config, Config)
    assert list(config.tasks) == list(TASKS)
    assert all(type(config.tasks[name]) is TASKS[name] for name in TASKS)
    assert "???" not in str(resolved(config))


def test_task_settings_have_one_home_and_a_short_name():
    config = load_config("synthesize", ["task=inpainting", "task.hole=3", "tasks.generation.steps=2"])
    assert (config.task, config.tasks["inpainting"].hole, config.tasks["generation"].steps) == ("inpainting", 3, 2)


def test_paths_may_have_the_name_of_a_group_of_files():
    config = load_config("evaluate", ["samples=a=b/c.npz", "judge=x.safetensors", "reference=mnist5k"])
    assert (config.samples, config.judge) == ("a=b/c.npz", "x.safetensors")
    assert load_config("evaluate", ["judge=null"]).judge is None


def test_a_scale_is_an_overlay_that_the_command_line_outdoes():
    assert load_config("reproduce", ["scale=smoke"]).samples.count == 20
    assert load_config("reproduce", ["scale=smoke", "samples.count=7"]).samples.count == 7


@pytest.mark.parametrize(
    ("command", "words", "complaint"),
    [
        ("train", ["recipe.epoch=3"], r"^recipe\.epoch: no such key; did you mean recipe\.epochs\?"),
        ("train", ["datset=mnist5k"], r"^datset: no such key; did you mean dataset\?"),
        ("train", ["dataset=mnist"], r"^dataset: found 'mnist', allowed: apple2orange, cats_vs_dogs, cifar10"),
        ("train", ["adversary=l1"], r"^adversary: found 'l1', allowed: .*l2, linf, none"),
        ("train", ["recipe.epochs=abc"], r"^recipe\.epochs: .*'abc'.*Integer"),
        ("train", ["recipe.epochs=1.5"], r"^recipe\.epochs: .*'1.5'.*Integer"),
        ("train", ["recipe.epochs=0"], r"^recipe\.epochs: found 0, allowed: a number >= 1$"),
        ("train", ["adversary.eps=-1"], r"^adversary\.eps: found -1\.0, allowed: a number >= 0$"),
        ("train", ["adversary.eps=nan"], r"^adversary\.eps: found nan"),
        ("train", ["adversary.eps=inf"], r"^adversary\.eps: found inf"),
        ("train", ["adversary.step_size=0"], r"^adversary\.step_size: found 0\.0, allowed: a number > 0$"),
        ("train", ["adversary.norm=l3"], r"^adversary\.norm: found 'l3', allowed: l2, linf, none$"),
        ("train", ["classifier.widths=[]"], r"^classifier\.widths: found an empty list"),
        ("train", ["classifier.widths=[8,0]"], r"^classifier\.widths: found 0"),
        ("train", ["recipe.momentum=2"], r"^recipe\.momentum: found 2\.0, allowed: a number >= 0 and <= 1$"),
        ("train", ["force=maybe"], r"^force: .*'maybe'"),
        ("train", ["+new=1"], r"^\+new=1: keys can neither be added"),
        ("train", ["~tracker"], r"^~tracker: keys can neither be added"),
        ("train", ["dataset"], r"^dataset: not understood; allowed: KEY=VALUE$"),
        ("train", ["seed=[1"], r"^seed=\[1: "),
        ("train", ["recipe=2"], r"^recipe=2: "),
        ("train", ["tracker=csv", "tracker.mode=online"], r"^tracker\.mode: found online, but only tracker=wandb"),
        ("train", ["tracker=mlflow"], r"^tracker: found 'mlflow', allowed: csv, none, tensorboard, wandb$"),
        ("train", ["inputs=x"], r"^inputs: `robsynth train` does not read it"),
        ("train", ["checkpoint=x"], r"^checkpoint: `robsynth train` makes a new one; allowed: recipe.start"),
        ("synthesize", ["task=painting"], r"^task: found 'painting', allowed: generation, inpainting"),
        ("synthesize", ["task.steps=0"], r"^tasks\.generation\.steps: found 0, allowed: a number >= 1$"),
        ("synthesize", ["task=inpainting", "task.stps=3"], r"^tasks\.inpainting\.stps: .*tasks\.inpainting\.steps"),
        ("synthesize", ["tasks.drawing.steps=3"], r"^tasks\.drawing\.steps: no such key; allowed: tasks\.feature"),
        ("synthesize", ["adversary.eps=3"], r"^adversary: `robsynth synthesize` does not read it"),
        ("reproduce", ["inputs=x"], r"^inputs: `robsynth reproduce` does not read it"),
        ("reproduce", ["select=[painting]"], r"^select: found 'painting', allowed: generation"),
        ("reproduce", ["scale=huge"], r"^scale: found 'huge', allowed: laptop, paper, smoke$"),
        ("evaluate", ["smples=x"], r"^smples: no such key; did you mean samples\?"),
        ("evaluate", ["metrics.resamples=-1"], r"^metrics\.resamples: found -1, allowed: a number >= 0$"),
        ("evaluate", ["reference.nme=x"], r"^reference\.nme: no such key; did you mean reference\.name\?"),
        ("sweep", ["sweep.trials=many"], r"^sweep\.trials: .*'many'.*Integer"),
        ("sweep", ["launcher=slurm"], r"^launcher: found 'slurm', allowed: joblib, local, ray"),
        ("train", ["recipe.epochs.most=3"], r"^recipe\.epochs\.most: no such key; allowed: recipe\.epochs$"),
        (
            "train",
            ["dataset=image_folder"],
            r"^dataset\.size: none given, but lengths grow .*; allowed: a number >=",
        ),
        ("train", ["experiment=mnist6k"], r"^experiment: found 'mnist6k', allowed: .*, mnist5k, "),
        ("train", ["plugins=[no_such]"], r"^plugins: no_such cannot be imported \(ModuleNotFoundError"),
        ("train", ["metrics.plugins=[no_such]"], r"^plugins: no_such cannot be imported"),
        ("report", ["recrd=x"], r"^recrd: no such key; did you mean record\?"),
    ],
)
def test_a_bad_request_is_one_line_that_names_the_key(command, words, complaint):
    with pytest.raises(RequestError, match=complaint) as caught:
        load_config(command, words)
    assert "\n" not in str(caught.value)


def test_every_key_is_read_by_a_command():
    """An option that does nothing would be one that no command reads."""
    of_config = [command.keys for command in COMMANDS.values() if command.config is Config]
    assert set().union(*of_config) == set(Config.__dataclass_fields__)


def test_text_needs_no_quotes(tmp_path):
    path = f"{tmp_path}/a (copy), b=c"
    assert load_config("report", [f"record={path}"]).record == path
    assert load_config("train", [f"out={path}"]).out == path


def test_without_a_data_set_it_is_the_embedded_experiment():
    found = load_config("reproduce", [])
    assert (found.experiment, found.scale, found.settings, found.curves.steps) == (
        "mnist5k", "laptop", "laptop/mnist5k", [10, 30, 60],
    )  # fmt: skip
    assert load_config("reproduce", ["experiment=mnist5k"]) == found


@pytest.mark.parametrize("name", ["cifar10", "restricted_imagenet", "cats_vs_dogs"])
def test_a_data_set_alone_brings_what_goes_with_it_and_no_experiment(name):
    found, experiment = (load_config("reproduce", [word]) for word in (f"dataset={name}", f"experiment={name}_laptop"))
    assert (found.experiment, found.curves.steps, found.metrics.attack_eps) == (None, [], [])
    for part in ("tasks", "adversary", "recipe", "judge", "baseline", "settings"):
        assert getattr(found, part) == getattr(experiment, part)
    assert found.classifier.widths == experiment.classifier.widths
    assert (found.classifier.checkpoint, experiment.classifier.checkpoint) == (None, f"{name}_laptop")


def test_a_folder_of_photographs_has_the_settings_of_photographs():
    found = load_config("train", ["dataset=image_folder", "dataset.size=64"])
    assert found.tasks == load_config("train", ["dataset=horse2zebra"]).tasks
    assert (found.tasks["generation"].eps, found.tasks["inpainting"].hole) == (20, 24)


def test_the_settings_of_another_data_set_can_be_asked_for():
    found = load_config("train", ["dataset=cats_vs_dogs", "scale=paper", "settings=paper/horse2zebra"])
    assert (found.dataset.name, found.adversary.eps, found.tasks["translation"].eps) == ("cats_vs_dogs", 5, 80)


def test_every_data_set_has_settings_for_a_laptop():
    names = [name for name in options("dataset") if name not in ("none", "image_folder")]
    assert [load_config("train", [f"dataset={name}"]).settings for name in names] == [f"laptop/{n}" for n in names]


@pytest.mark.parametrize(
    ("words", "dataset", "settings", "experiment"),
    [
        (["checkpoint=mine.safetensors"], ("cifar10", 32), "laptop/cifar10", None),
        (["checkpoint=mine.safetensors", "dataset=none"], ("none", 32), "laptop/cifar10", None),
        (["checkpoint=mine.safetensors", "experiment=mnist5k"], ("mnist5k", None), "laptop/mnist5k", "mnist5k"),
        (["classifier=cifar10_laptop"], ("cifar10", 32), "laptop/cifar10", "cifar10_laptop"),
        (["checkpoint=cifar10_laptop", "dataset=none"], ("none", 32), "laptop/cifar10", "cifar10_laptop"),
        (["checkpoint=absent.pt"], ("mnist5k", None), "laptop/mnist5k", "mnist5k"),
    ],
)
def test_a_classifier_brings_the_settings_of_what_it_was_trained_on(
    words, dataset, settings, experiment, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").symlink_to(bundles()["cifar10_laptop"])
    found = load_config("synthesize", words)
    assert (found.dataset.name, found.dataset.size) == dataset
    assert (found.settings, found.experiment) == (settings, experiment)


def test_text_may_stand_in_quotes():
    assert load_config("train", ["out='runs/a b'"]).out == load_config("train", ["out=runs/a b"]).out == "runs/a b"


def test_a_setting_that_goes_by_the_originals_size_is_not_guessed_without_one():
    words = ["scale=paper", "dataset=restricted_imagenet", "originals=image_folder", "originals.root=photos"]
    with pytest.raises(
        RequestError, match=r"originals\.size: found none, but settings=paper/restricted_imagenet go by"
    ):
        load_config("synthesize", words)
    assert load_config("synthesize", [*words, "originals.size=32"]).tasks["super_resolution"].factor == 7
