"""The authors' settings, value by value, and the pages that say how to have their results.

The tables are the notebooks' (github MadryLab/robustness_applications), the library's defaults (github
MadryLab/robustness) and the appendix's, unverified.
"""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ROOT
from robsynth.config.compose import load_config, split_words
from robsynth.errors import RequestError
from robsynth.lab.sweeps.sweep import open_sweep
from robsynth.metrics.protocols import parse

EXPERIMENTS = ROOT / "experiments"
PAGES = sorted(EXPERIMENTS.rglob("README.md"))
PUBLISHED = yaml.safe_load((EXPERIMENTS / "published.yaml").read_text())

# Experiment, task, words that choose its data, and the row of the table.
TASKS = [
    ("table1_inception_score", "generation", ["dataset=cifar10"],
     {"eps": 30, "step_size": 0.5, "steps": 60, "pool": 1, "fit": "train", "seeds": "data"}),
    ("table1_imagenet", "generation", ["dataset=imagenet"],
     {"eps": 40, "step_size": 1, "steps": 60, "pool": 4, "fit": "train", "seeds": "data"}),
    ("generation", "generation", ["dataset=restricted_imagenet"],
     {"eps": 40, "step_size": 1, "steps": 60, "pool": 4, "fit": "train", "seeds": "data"}),
    ("inpainting", "inpainting", ["dataset=restricted_imagenet"],
     {"eps": 21.6, "step_size": 0.1, "steps": 720, "hole": 60, "penalty": 10}),
    ("translation", "translation", ["dataset=horse2zebra"], {"eps": 80, "step_size": 0.5, "steps": 200}),
    ("translation", "translation", ["dataset=apple2orange"], {"eps": 80, "step_size": 0.5, "steps": 200}),
    ("translation", "translation", ["dataset=summer2winter"], {"eps": 80, "step_size": 0.5, "steps": 200}),
    ("super_resolution_x7", "super_resolution", ["dataset=restricted_imagenet", "originals=cifar10"],
     {"eps": 15, "step_size": 1, "steps": 50, "factor": 7}),
    ("super_resolution", "super_resolution", ["dataset=restricted_imagenet"],
     {"eps": 8, "step_size": 1, "steps": 40, "factor": 8}),
    ("sketch_to_image", "sketch_to_image", ["dataset=restricted_imagenet"],
     {"eps": 40, "step_size": 1, "steps": 60, "lines": "edges"}),
    ("feature_painting", "feature_painting", ["dataset=restricted_imagenet"],
     {"eps": 70, "step_size": 1, "steps": 140, "weight": 0.1, "penalty": 90, "maximise": "unit", "unit": None,
      "stages": []}),
]  # fmt: skip

SMALL = [
    ("inpainting", {"eps": 21.6 / 7, "step_size": 0.1 / 7, "steps": 720, "hole": round(60 / 7), "penalty": 10}),
    ("translation", {"eps": 80 / 7, "step_size": 0.5 / 7, "steps": 200}),
    ("super_resolution", {"eps": 8 / 7, "step_size": 1 / 7, "steps": 40, "factor": 4}),
    ("sketch_to_image", {"eps": 40 / 7, "step_size": 1 / 7, "steps": 60}),
    ("feature_painting", {"eps": 70 / 7, "step_size": 1 / 7, "steps": 140, "weight": 0.1, "penalty": 90}),
]

CIFAR_AUGMENT = {"shift": 4, "flip": True, "jitter": 0.25, "rotation": 2, "lighting": 0}
PHOTO_AUGMENT = {"shift": 0, "flip": True, "jitter": 0.1, "rotation": 0, "lighting": 0.05}
# Recipe, epochs, batch, weight decay, learning rate, drops, augmentation.
RECIPES = [
    ("paper_cifar10", 150, 128, 5e-4, 0.1, [50, 100], CIFAR_AUGMENT),
    ("paper_restricted_imagenet", 150, 256, 1e-4, 0.1, [50, 100], PHOTO_AUGMENT),
    ("paper_imagenet", 200, 256, 1e-4, 0.1, [50, 100, 150], PHOTO_AUGMENT),
    ("paper_two_domains", 150, 64, 5e-4, 0.1, [50, 100], PHOTO_AUGMENT),
    ("released_restricted_imagenet", 150, 256, 1e-4, 0.1, [30, 60], PHOTO_AUGMENT),
    ("appendix_cifar10", 350, 256, 5e-4, 0.01, [150, 250], CIFAR_AUGMENT),
    ("appendix_restricted_imagenet", 110, 256, 1e-4, 0.1, [50, 100], PHOTO_AUGMENT),
    ("appendix_imagenet", 110, 256, 1e-4, 0.1, [50, 100], PHOTO_AUGMENT),
    ("appendix_two_domains", 350, 64, 5e-4, 0.01, [50, 100, 150, 200, 250, 300], PHOTO_AUGMENT),
]
ADVERSARIES = [
    ("paper_cifar10", 0.5, 0.1),
    ("paper_restricted_imagenet", 3, 0.5),
    ("paper_imagenet", 3, 0.5),
    ("paper_two_domains", 5, 0.9),
    ("appendix_restricted_imagenet", 3.5, 0.1),
]
HALF = [0.5, 0.5, 0.5]
# Data set, side, mean, standard deviation.
DATA = [
    ("cifar10", 32, [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
    ("restricted_imagenet", 224, [0.4717, 0.4499, 0.3837], [0.2600, 0.2516, 0.2575]),
    ("horse2zebra", 224, HALF, HALF),
    ("apple2orange", 224, HALF, HALF),
    ("summer2winter", 224, HALF, HALF),
]
# Experiment, data set, network, adversary, recipe, images.
PARTS = [
    ("table1_inception_score", "cifar10", "resnet50_cifar", "paper_cifar10", "paper_cifar10", 50000),
    ("table1_imagenet", "imagenet", "resnet50", "paper_imagenet", "paper_imagenet", 50000),
    ("translation", "horse2zebra", "resnet50", "paper_two_domains", "paper_two_domains", 260),
    ("super_resolution_x7", "restricted_imagenet", "resnet50", "paper_restricted_imagenet",
     "released_restricted_imagenet", 4000),
    *[(name, "restricted_imagenet", "resnet50", "paper_restricted_imagenet", "released_restricted_imagenet", 5000)
      for name in ("generation", "inpainting", "super_resolution", "sketch_to_image", "feature_painting")],
]  # fmt: skip
# Metric, value in %, protocol's first word, system.
ACCURACIES = [
    ("clean_accuracy", 90.83, "test", "ResNet-50, L2 0.5"),
    ("robust_accuracy", 70.11, "PGD-100,", "ResNet-50, L2 0.5"),
    ("robust_accuracy", 69.24, "AutoAttack,", "ResNet-50, L2 0.5"),
    ("clean_accuracy", 81.62, "test", "ResNet-50, L2 1.0"),
    ("robust_accuracy", 52.61, "PGD-100,", "ResNet-50, L2 1.0"),
    ("clean_accuracy", 57.90, "validation", "ResNet-50, L2 3.0"),
    ("robust_accuracy", 35.09, "PGD-100,", "ResNet-50, L2 3.0"),
]


def values(part: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(part, key) for key in row}


def commands(page: Path) -> list[list[str]]:
    """The words of every `robsynth` line in a page's blocks of code, flags left out."""
    text = page.read_text().replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("    robsynth ")]
    return [[word for word in line[1:] if not word.startswith("--")] for line in lines]


@pytest.mark.parametrize(("experiment", "task", "words", "row"), TASKS)
def test_a_task_has_the_authors_settings(experiment, task, words, row):
    row = {"norm": "l2", "keep": "best", "noise": 0, "target": None, **row}
    if task != "feature_painting":
        row["objective"] = "cross_entropy"
    by_scale = load_config("synthesize", [f"task={task}", "scale=paper", *words])
    by_experiment = load_config("reproduce", [f"experiment={experiment}", *words])
    for config in (by_scale, by_experiment):
        assert config.scale == "paper"
        assert values(config.tasks[task], row) == row
    assert by_experiment.select == [task]


@pytest.mark.parametrize(("task", "row"), SMALL)
def test_what_the_authors_lack_at_32_pixels_is_scaled_by_7(task, row):
    found = load_config("synthesize", [f"task={task}", "scale=paper", "dataset=cifar10"]).tasks[task]
    assert values(found, row) == pytest.approx(row, rel=1e-3)


@pytest.mark.parametrize(("words", "complaint"), [
    (["dataset=cifar10", "dataset.size=64"], r"^dataset\.size: found 64, .* settings=paper/cifar10 .*allowed: 32, or"),
    (["dataset=imagenet", "dataset.size=128"], r"^dataset\.size: found 128, .* settings=paper/imagenet .*allowed: 224"),
    (["dataset=mnist5k"], r"^settings: found none for paper/mnist5k; allowed with settings=NAME, .* paper/cifar10, "),
    (["dataset=cats_vs_dogs"], r"^settings: found none for paper/cats_vs_dogs; allowed"),
    (["dataset=restricted_imagenet", "originals=cifar10", "originals.size=48"],
     r"^tasks\.super_resolution\.\w+: no setting .* 48; allowed: 32, 224, null$"),
])  # fmt: skip
def test_data_without_a_setting_of_the_authors_are_refused(words, complaint):
    with pytest.raises(RequestError, match=complaint):
        load_config("synthesize", ["task=super_resolution", "scale=paper", *words])


@pytest.mark.parametrize(("name", "arch", "eps", "drops"), [
    ("cifar10", "resnet50_cifar", 0.5, [50, 100]),
    ("restricted_imagenet", "resnet50", 3, [30, 60]),
    ("imagenet", "resnet50", 3, [50, 100, 150]),
    ("horse2zebra", "resnet50", 5, [50, 100]),
])  # fmt: skip
def test_a_data_set_at_the_papers_scale_has_the_papers_parts(name, arch, eps, drops):
    found = load_config("train", ["scale=paper", f"dataset={name}"])
    assert (found.experiment, found.scale, found.settings) == (None, "paper", f"paper/{name}")
    assert (found.classifier.arch, found.adversary.eps, found.recipe.drops) == (arch, eps, drops)
    assert (found.judge.name, found.baseline.name) == ("none", "none")


@pytest.mark.parametrize(("name", "epochs", "batch", "decay", "rate", "drops", "augment"), RECIPES)
def test_a_recipe_is_the_authors(name, epochs, batch, decay, rate, drops, augment):
    recipe = load_config("train", [f"recipe={name}"]).recipe
    row = {
        "epochs": epochs, "batch_size": batch, "weight_decay": decay, "learning_rate": rate, "drops": drops,
        "momentum": 0.9, "nesterov": False, "schedule": "steps", "ema": 0, "start": None,
    }  # fmt: skip
    assert values(recipe, row) == row
    assert values(recipe.augment, augment) == augment


@pytest.mark.parametrize(("name", "eps", "step_size"), ADVERSARIES)
def test_an_adversary_is_the_authors(name, eps, step_size):
    row = {"norm": "l2", "eps": eps, "steps": 7, "step_size": step_size, "random_start": False, "keep": "best"}
    assert values(load_config("train", [f"adversary={name}"]).adversary, row) == row


@pytest.mark.parametrize(("name", "size", "mean", "std"), DATA)
def test_images_are_normalised_as_the_authors_do(name, size, mean, std):
    row = {"name": name, "size": size, "mean": mean, "std": std}
    assert values(load_config("train", ["scale=paper", f"dataset={name}"]).dataset, row) == row


@pytest.mark.parametrize(("name", "data", "arch", "adversary", "recipe", "count"), PARTS)
def test_an_experiment_is_put_together_from_the_authors_parts(name, data, arch, adversary, recipe, count):
    found = load_config("reproduce", [f"experiment={name}"])
    parts = load_config("train", [f"adversary={adversary}", f"recipe={recipe}"])
    assert (found.experiment, found.dataset.name, found.classifier.arch) == (name, data, arch)
    assert (found.adversary, found.recipe) == (parts.adversary, parts.recipe)
    assert (found.judge.name, found.baseline.name, found.samples.count) == ("none", "none", count)


def test_table_1_is_measured_on_50000_images_in_10_splits():
    for name in ("table1_inception_score", "table1_imagenet"):
        found = load_config("reproduce", [f"experiment={name}"]).metrics
        assert {"is50k", "fid50k_train"} <= set(found.protocols)
        assert (parse("is50k").count, parse("is50k").splits, found.attacks) == (50_000, 10, ["pgd20", "pgd100x5"])


def test_every_result_of_the_paper_has_a_page():
    assert {page.parent.name for page in PAGES} >= {
        "table1_inception_score", "generation", "inpainting", "translation", "super_resolution", "sketch_to_image",
        "feature_painting",
    }  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_commands_of_a_page_compose(page, tmp_path):
    found = commands(page)
    assert found
    for number, (command, *words) in enumerate(found):
        if command == "sweep":
            keys, jobs = split_words(words)
            open_sweep(load_config("sweep", [*keys, f"out={tmp_path / str(number)}"]), jobs)
        else:
            assert load_config(command, words) is not None, words


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry['result']}, {entry['metric']}")
def test_a_published_figure_says_where_it_comes_from(entry):
    assert entry["source"]
    assert type(entry["verified"]) is bool
    assert entry["system"]
    assert entry["data"]
    assert (entry["value"] is None) == ("words" in entry) == (entry["metric"] is None)
    assert ("experiment" in entry) == ("command" in entry) == ("needs" in entry)
    if "command" in entry:
        program, command, *words = shlex.split(entry["command"])
        assert (program, load_config(command, words).experiment) == ("robsynth", entry["experiment"])


@pytest.mark.parametrize(("metric", "value", "protocol", "system"), ACCURACIES)
def test_published_accuracies_are_there(metric, value, protocol, system):
    found = [
        entry for entry in PUBLISHED if (entry["metric"], entry["value"], entry["system"]) == (metric, value, system)
    ]
    assert [entry["protocol"].split()[0] for entry in found] == [protocol]


def test_only_the_papers_score_on_cifar10_is_verified():
    found = {entry["data"]: (entry["value"], entry["verified"]) for entry in PUBLISHED if entry["system"] == "the paper"
             and entry["metric"]}  # fmt: skip
    assert found == {"CIFAR-10, 32 px": (7.5, True), "ImageNet, 224 px": (259.0, False)}
