"""Stages that train: the classifier, the judge, the rival."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from robsynth import processes
from robsynth.baselines.generator import save_generator
from robsynth.classifiers import (
    architecture,
    build_classifier,
    save_classifier,
)  # fmt: skip
from robsynth.config import Adversary, Network, Recipe
from robsynth.files import file_sha1
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage
from robsynth.lab.sizes import sizes_of
from robsynth.progress import say

RIVAL = "wgan_gp"
# The judge never sees an adversarial example.
STANDARD = Adversary(norm="none", eps=0, steps=1, step_size=1)
UNGUARDED = "one attack step, and recipe.held_out is 0: catastrophic overfitting would not be noticed"


def train_classifier(context: Context) -> Stage:
    config = context.config
    return _training("classifier", config.classifier, config.adversary, config.recipe)


def train_judge(context: Context) -> Stage:
    judge = context.config.judge
    return _training("judge", judge.network, STANDARD, judge.recipe)


def _training(name: str, network: Network, adversary: Adversary, recipe: Recipe) -> Stage:
    def cost(context: Context) -> Cost:
        # Lightning takes seconds to import.
        from robsynth.training.held_out import check_count
        from robsynth.training.methods import training_passes

        check_count(recipe.held_out, sizes_of(context).train)
        images = sizes_of(context).train - recipe.held_out
        batches = images // min(recipe.batch_size, images)
        what = f"{recipe.epochs} epochs of {batches} steps, batch {recipe.batch_size}"
        if adversary.norm != "none":
            what += f", {adversary.steps}-step attack"
        passes = {name: training_passes(adversary, recipe, images, recipe.held_out)}
        return Cost(what, passes, recipe.batch_size // recipe.accumulate, copies=4 if recipe.ema else 3)

    return Stage(f"train {name}", partial(_train, name, network, adversary, recipe), cost)


def _train(name: str, network: Network, adversary: Adversary, recipe: Recipe, context: Context) -> Result:
    """Train into `name`/ of the run; the result names the checkpoint and has costs and history."""
    from robsynth.data.batches import Batches
    from robsynth.training.adversarial import AdversarialTraining
    from robsynth.training.fit import fit, warning
    from robsynth.training.held_out import hold_out, onsets, wants_guard
    from robsynth.training.start import begin_from

    data, spec = context.data, context.images
    untrained = build_classifier(
        network.arch, network.widths, data.shape[0], len(data.label_names), spec.mean, spec.std, context.seed,
        depth=network.depth, widen=network.widen,
    )  # fmt: skip
    if recipe.start is not None:
        begin_from(untrained, recipe.start)
    images, held_out = hold_out(data.train, recipe.held_out)
    module = AdversarialTraining(untrained, adversary, recipe, context.seed, held_out)
    warnings = [UNGUARDED] if held_out is None and wants_guard(adversary) else []
    for line in warnings:
        say(f"warning: {line}")
    batches = Batches(images, recipe.batch_size, context.seed, recipe.workers, recipe.accumulate,
                      adversary.replays or 1)  # fmt: skip
    directory = context.directory / name
    diary = fit(module, batches, recipe.epochs, directory, context.machine, partial(context.tracking.history, name),
                recipe.save_every)  # fmt: skip
    about = {
        **architecture(network),
        "channels": data.shape[0],
        "shape": list(data.shape),
        **_of(context, seed=context.seed),
        "adversary": asdict(adversary),
        "recipe": asdict(recipe),
        "held_out": None if held_out is None else {"images": held_out.name, "fingerprint": held_out.fingerprint},
        "epoch": int((diary.chosen or diary.rows[-1])["epoch"]),
    }
    checkpoint = directory / "classifier.safetensors"
    processes.once(lambda: save_classifier(checkpoint, module.kept.cpu(), about))
    warnings += [warning(row) for row in onsets(diary.rows)]
    return {**_trained(context, checkpoint, diary.rows), "warnings": [f"{name}: {line}" for line in warnings]}


def train_rival(context: Context) -> Stage:
    """The WGAN-GP, which is small, is trained by rank 0 alone."""
    settings = context.config.baseline

    def cost(context: Context) -> Cost:
        images = sizes_of(context).train
        batch = min(settings.batch_size, images)
        steps = settings.epochs * (images // batch)
        # A step of the critic: images made, and three batches there and back; of them one once more for the penalty.
        critic, generator = 7 * steps * batch, steps * batch
        critic += 2 * (steps // settings.critic_steps) * batch
        generator += 2 * (steps // settings.critic_steps) * batch
        what = f"{settings.epochs} epochs of {images // batch} steps, batch {batch}"
        return Cost(what, {"critic": critic, "generator": generator}, batch, copies=3)

    return Stage(f"train {RIVAL}", _train_rival, cost, alone=True)


def _train_rival(context: Context) -> Result:
    from robsynth.baselines.wgan_gp import GanTraining
    from robsynth.data.batches import Batches
    from robsynth.training.fit import fit

    settings, data = context.config.baseline, context.data
    module = GanTraining(settings, len(data.label_names), data.shape, context.seed)
    directory = context.directory / RIVAL
    batches = Batches(data.train, settings.batch_size, context.seed)
    diary = fit(module, batches, settings.epochs, directory, context.machine, partial(context.tracking.history, RIVAL))
    about = {
        "latent": settings.latent,
        "width": settings.width,
        "shape": list(data.shape),
        **_of(context, seed=context.seed),
        "baseline": asdict(settings),
    }
    checkpoint = directory / "generator.safetensors"
    save_generator(checkpoint, module.average.cpu(), about)
    return _trained(context, checkpoint, diary.rows)


def _of(context: Context, **more: Any) -> dict[str, Any]:
    """What a checkpoint says of its images."""
    data = context.data
    return {"dataset": data.name, "fingerprint": data.fingerprint, "label_names": list(data.label_names), **more}


def _trained(context: Context, checkpoint: Path, rows: list[dict[str, float]]) -> Result:
    # A resumed training counts what led to its weights, wherever that was computed.
    costs = {key: value for key, value in rows[-1].items() if key.endswith("_seconds")}
    path = context.relative(checkpoint)
    return {"checkpoint": path, "sha1": file_sha1(checkpoint), "history": rows, "files": [path], **costs}
