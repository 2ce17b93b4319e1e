"""Stages that describe what was made: model cards, bundles, pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robsynth import tasks
from robsynth.classifiers import Classifier
from robsynth.files import file_sha1, read_json
from robsynth.lab import pictures
from robsynth.lab.cards import describe_copy, describe_training
from robsynth.lab.context import Context, Result
from robsynth.lab.pictures import Drawn, extreme_cases, generation_pictures, task_pictures
from robsynth.lab.runner import Cost, Stage, make_record
from robsynth.lab.stages.measuring import evaluation, real_images
from robsynth.lab.stages.painting import opened, studio_of
from robsynth.lab.stages.training import RIVAL
from robsynth.records.record import COSTS, STAGES
from robsynth.tasks.synthesis import passes


def model_cards(name: str, subjects: dict[str, str]) -> Stage:
    """A card beside each checkpoint that the run has trained, with the figures of its subject."""

    def work(context: Context) -> Result:
        record = make_record(context)
        cards = [
            describe_training(record, training, subject, context.checkpoint(training))
            for training, subject in subjects.items()
        ]
        return {"files": [context.relative(file) for files in cards for file in files]}

    return Stage(
        name, work, lambda context: Cost("cards"), tuple(f"train {training}" for training in subjects), alone=True
    )


def bundle() -> Stage:
    """The trained classifier as one small file that paints without its data set."""

    def work(context: Context) -> Result:
        checkpoint = context.checkpoint("classifier")
        path = checkpoint.with_name("bundle.safetensors")
        network, about = context.open(checkpoint)
        training = {**training_record(checkpoint), **worst(context)}
        found = save_bundle(context, path, network, {**about, "training": training}, checkpoint)
        files = [context.relative(file) for file in (path, Path(found.pop("card")))]
        return {**found, "bundle": files[0], "files": files}

    return Stage("bundle", work, lambda context: Cost("seeds of every class"), ("train classifier",), alone=True)


def worst(context: Context) -> dict[str, float]:
    """Each accuracy of the classifier; of several attacks the worst counts."""
    figures = [figure for figure in context.results["accuracy"]["figures"] if "at" not in figure]
    quoted = [(figure["metric"], figure["value"] or 0.0) for figure in figures]
    return {metric: min(value for name, value in quoted if name == metric) for metric in dict(quoted)}


def save_bundle(
    context: Context, path: Path, network: Classifier, about: dict[str, Any], original: Path
) -> dict[str, Any]:
    """Write a bundle of the classifier that is in `original`, with what is said `about` it, and its card."""
    tasks.save_bundle(path, network, about, context.data, context.config.tasks["generation"])
    card, _ = describe_copy(path, original)
    return {"bundle": str(path), "sha1": file_sha1(path), "megabytes": round(path.stat().st_size / 1e6, 2),
            "card": str(card)}  # fmt: skip


def training_record(checkpoint: Path) -> dict[str, Any]:
    """What the run that trained a checkpoint kept of it: history, costs, commit; empty where no run is around it."""
    stage = checkpoint.resolve().parents[1] / STAGES / "train classifier.json"
    if not stage.is_file():
        return {}
    kept = read_json(stage)
    return {
        "history": kept["result"]["history"],
        **{key: kept[key] for key in (*COSTS, "finished", "commit") if key in kept},
    }


def draw(context: Context, needs: tuple[str, ...]) -> Stage:
    """Grids of what every task made, its best and worst cases, and how images came about."""

    def work(context: Context) -> Result:
        listed = []
        for name, caption, canvas in _drawn(context):
            file = f"pictures/{name}.png"
            pictures.save_png(context.directory / file, canvas)
            listed.append({"name": name, "file": file, "caption": caption})
        evaluation(context).warnings.clear()
        return {"pictures": listed, "files": [picture["file"] for picture in listed]}

    def cost(context: Context) -> Cost:
        if "generation" not in context.config.select:
            return Cost("grids")
        strips = passes(context.config.tasks["generation"], pictures.STRIPS)
        return Cost("grids, and strips of ascents", {"classifier": strips}, pictures.STRIPS)

    return Stage("pictures", work, cost, needs, alone=True)


def _drawn(context: Context) -> Iterator[Drawn]:
    classes, config = len(context.data.label_names), context.config
    for task in config.select:
        samples = opened(context, task)
        if task == "generation":
            synthesis = studio_of(context).synthesis(task, config.tasks[task])
            yield from generation_pictures(samples, synthesis, evaluation(context), classes)
        else:
            yield from task_pictures(task, samples)
        yield from extreme_cases(task, samples, evaluation(context))
    first = pictures.COLUMNS * classes
    if config.baseline.name != "none":
        grid = pictures.classes_grid(opened(context, RIVAL).first(first))
        yield RIVAL, "The rival's images (conditional WGAN-GP), a row a class", grid
    yield "real", "Real held-out images, a row a class", pictures.classes_grid(real_images(context).first(first))
