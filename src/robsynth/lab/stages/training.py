"""Stages that train: the classifier, the judge, the rival."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from robsynth.config import Adversary, Network, Recipe
from robsynth.files import file_sha1
from robsynth.lab.context import Context, Result
from robsynth.lab.runner import Cost, Stage

if TYPE_CHECKING:
    from robsynth.training.training import Trained

RIVAL = "wgan_gp"
# The judge never sees an adversarial example.
STANDARD = Adversary(norm="none", eps=0, steps=1, step_size=1)


def train_classifier(context: Context) -> Stage:
    config = context.config
    return _classifier("classifier", config.classifier, config.adversary, config.recipe)


def train_judge(context: Context) -> Stage:
    judge = context.config.judge
    return _classifier("judge", judge.network, STANDARD, judge.recipe)


def _classifier(name: str, network: Network, adversary: Adversary, recipe: Recipe) -> Stage:
    def train(context: Context) -> "Trained":
        # Lightning takes seconds to import.
        from robsynth.training.training import Training

        training = Training(network, adversary, recipe, context.data, context.images, context.seed)
        return training.run(context.directory / name, context.machine, partial(context.tracking.history, name))

    def cost(context: Context) -> Cost:
        from robsynth.training.held_out import check_count
        from robsynth.training.methods import training_passes

        check_count(recipe.held_out, context.sizes.train)
        images = context.sizes.train - recipe.held_out
        batches = images // min(recipe.batch_size, images)
        attack = "" if adversary.norm == "none" else f", {adversary.steps}-step attack"
        what = f"{recipe.epochs} epochs of {batches} steps, batch {recipe.batch_size}{attack}"
        passes = {name: training_passes(adversary, recipe, images, recipe.held_out)}
        return Cost(what, passes, recipe.batch_size // recipe.accumulate, copies=4 if recipe.ema else 3)

    return Stage(f"train {name}", partial(_work, name, train), cost)


def train_rival(context: Context) -> Stage:
    """The WGAN-GP, which is small, is trained by rank 0 alone."""
    settings = context.config.baseline

    def train(context: Context) -> "Trained":
        from robsynth.baselines import training

        heard = partial(context.tracking.history, RIVAL)
        return training.train(settings, context.data, context.seed, context.directory / RIVAL, context.machine, heard)

    def cost(context: Context) -> Cost:
        from robsynth.baselines.training import passes

        batch = min(settings.batch_size, context.sizes.train)
        what = f"{settings.epochs} epochs of {context.sizes.train // batch} steps, batch {batch}"
        return Cost(what, passes(settings, context.sizes.train), batch, copies=3)

    return Stage(f"train {RIVAL}", partial(_work, RIVAL, train), cost, alone=True)


def _work(name: str, train: "Callable[[Context], Trained]", context: Context) -> Result:
    """Train into `name`/ of the run; the result names the checkpoint and has costs and history."""
    found = train(context)
    # A resumed training counts what led to its weights, wherever that was computed.
    costs = {key: value for key, value in found.rows[-1].items() if key.endswith("_seconds")}
    path = context.relative(found.checkpoint)
    warnings = [f"{name}: {line}" for line in found.warnings]
    return {"checkpoint": path, "sha1": file_sha1(found.checkpoint), "history": found.rows, "files": [path],
            "warnings": warnings, **costs}  # fmt: skip
