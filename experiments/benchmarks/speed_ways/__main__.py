"""One way of a part of the benchmark, in a process of its own: `python -m speed_ways JOB`, a JSON object."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robsynth.classifiers import Classifier, build_classifier
from robsynth.config import Generation
from robsynth.config.commands import Config
from robsynth.config.compose import load_config
from robsynth.data import DataSet, load_data
from robsynth.lab.context import open_context
from robsynth.lab.stages.painting import studio_of
from robsynth.samples import as_pixels
from robsynth.tasks import Synthesis
from robsynth.tasks.studio import Studio
from speed_ways import authors
from speed_ways.turns import Turns, peak_gb


def training(job: dict[str, Any], folder: Path) -> None:
    """Train, every epoch a turn, then measure accuracy in the last turn."""
    # Here, and not above: of these imports synthesis needs none, and they cost time and memory.
    from robsynth.metrics.robustness import Ball, open_attacks, recognised, withstood

    config: Config = load_config("train", job["words"])
    whole = load_data(config.dataset)
    data = DataSet(whole.name, whole.train.head(job["images"]), whole.test.head(job["test_images"]), whole.source)
    classifier = untrained(config, whole)
    turns = Turns()
    if job["library"] == "authors":
        authors.train(classifier, config, data, folder, turns)
    else:
        from speed_ways import ours

        ours.train(classifier, config, data, folder, turns)
    result: dict[str, Any] = {"peak_gb": peak_gb()}
    if job["test_images"]:
        (attack,) = open_attacks([job["attack"]])
        ball = Ball("l2", config.adversary.eps)
        result["clean"] = float(recognised(classifier, data.test).right.float().mean())
        found = withstood(classifier, data.test, attack, ball, config.seed, folder / "attacked")
        result["robust"] = float(found.right.float().mean())
    turns.finish(result)


def untrained(config: Config, data: DataSet) -> Classifier:
    """The network that the configuration names; the same weights for every way."""
    from robsynth.data.normalisation import normalisation

    network, (mean, std) = config.classifier, normalisation(data, config.dataset)
    return build_classifier(
        network.arch, network.widths, data.shape[0], len(data.label_names), mean, std, config.seed,
        depth=network.depth, widen=network.widen,
    )  # fmt: skip


def synthesis(job: dict[str, Any], folder: Path) -> None:
    """Generate `rounds` batches, each in a turn, and leave all images in images.npy."""
    studio, task = generator_of(job["words"])
    settings = task.settings
    assert isinstance(settings, Generation)
    batches = torch.arange(job["rounds"] * job["batch"]).split(job["batch"])
    made = []
    if job["library"] == "authors":
        theirs = authors.painter(studio.network, settings, job["notebook"])
        problems = [task.pose(indices) for indices in batches]
        theirs(problems[0].start, problems[0].wanted, 1)
        turns = Turns()
        for problem in problems:
            turns.start()
            made.append(theirs(problem.start, problem.wanted, settings.steps))
            turns.stop()
    else:
        paint = painter(task)
        paint(batches[0], 1)
        turns = Turns()
        for indices in batches:
            turns.start()
            made.append(paint(indices, settings.steps))
            turns.stop()
    np.save(folder / "images.npy", as_pixels(torch.cat(made)))
    turns.finish({"peak_gb": peak_gb()})


def generator_of(words: list[str]) -> tuple[Studio, Synthesis]:
    """The classifier that ships, and generation with it."""
    config: Config = load_config("synthesize", words)
    studio = studio_of(open_context("synthesize", config))
    return studio, studio.synthesis("generation", config.tasks["generation"])


def painter(task: Synthesis) -> Callable[[Tensor, int], Tensor]:
    """A function from image numbers and a number of steps to images, which draws their start images itself."""

    def paint(indices: Tensor, steps: int) -> Tensor:
        return replace(task, settings=replace(task.settings, steps=steps)).run(indices)[1]

    return paint


def linearity(job: dict[str, Any], folder: Path) -> None:
    """Seconds against each quantity that a user sets, all in one turn."""
    _, task = generator_of(job["words"])
    paint = painter(task)
    turns = Turns()
    turns.start()
    batch, steps, images = torch.arange(job["batch"]), job["steps"], job["images"]
    paint(batch, 1)
    rows = {
        "steps of generation": timed(job["rounds"], {n: lambda n=n: paint(batch, n) for n in steps}),
        "generated images": timed(
            job["rounds"],
            {n: lambda n=n: [paint(part, steps[0]) for part in torch.arange(n).split(len(batch))] for n in images},
        ),
        "steps of the attack in training": train_seconds(
            job, folder, [(n, job["training_images"][0]) for n in job["attack_steps"]], 0
        ),
        "training images": train_seconds(job, folder, [(1, n) for n in job["training_images"]], 1),
    }
    turns.stop()
    turns.finish({"rows": rows})


def timed(rounds: int, calls: dict[int, Any]) -> list[list[float]]:
    """[n, seconds] of each call, the best of some rounds in each of which all are made once."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for n, call in calls.items():
            start = time.perf_counter()
            call()
            best[n] = min(best[n], time.perf_counter() - start)
    return [[n, round(seconds, 4)] for n, seconds in best.items()]


class Stopwatch:
    """Takes the place of turns: the seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self.seconds.append(time.perf_counter() - self._since)


def train_seconds(job: dict[str, Any], folder: Path, settings: list[tuple[int, int]], key: int) -> list[list[float]]:
    """[n, seconds of an epoch] for (attack steps, images) of which the one numbered `key` is n."""
    from speed_ways import ours

    config: Config = load_config("train", [*job["train_words"], f"recipe.epochs={job['rounds'] + 1}"])
    whole, rows = load_data(config.dataset), []
    for setting in settings:
        steps, images = setting
        data = DataSet(whole.name, whole.train.head(images), whole.test, whole.source)
        changed = replace(config, adversary=replace(config.adversary, steps=steps))
        watch, place = Stopwatch(), folder / f"{key}-{steps}-{images}"
        ours.train(untrained(config, whole), changed, data, place, watch)  # type: ignore[arg-type]
        rows.append([setting[key], round(min(watch.seconds[1:]), 4)])
    return rows


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    {"training": training, "synthesis": synthesis, "linearity": linearity}[asked["part"]](asked, Path(asked["folder"]))
