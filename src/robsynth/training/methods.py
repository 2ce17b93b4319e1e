"""What a training batch becomes, and its loss: one class for each way of adversarial training."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from robsynth import processes
from robsynth.ascent import ascend, constraint, frozen, in_full
from robsynth.classifiers import AnyClassifier
from robsynth.config import Adversary, Recipe
from robsynth.randomness import OfBatch
from robsynth.training.attacks import attacked, passes
from robsynth.training.held_out import check_passes


class Standard:
    """L(f(x), y), and what every method has.

    Called with a network, images (n, C, H, W) in [0, 1], labels (n,) and a generator, a method gives the loss of each
    sample (n,) and the logits (n, K) that the training accuracy is counted on.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, network: AnyClassifier, images: Tensor, labels: Tensor, noise: OfBatch) -> tuple[Tensor, Tensor]:
        logits = network(images)
        return self.cross_entropy(logits, labels), logits

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)

    def after_backward(self) -> None:
        """Called when gradients have been computed."""

    def state(self) -> dict[str, Tensor]:
        """What a resumed training needs besides weights; of all processes."""
        return {}

    def load(self, state: dict[str, Tensor], first: int, last: int) -> None:
        """Go on from `state`, of which this process has the rows from `first` up to `last`."""


class Pgd(Standard):
    """max over the ball of L(f(x), y) (Madry et al., 2018); with one step from a random point, Wong et al. (2020)."""

    def __init__(self, adversary: Adversary, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        self.adversary = adversary

    def __call__(self, network: AnyClassifier, images: Tensor, labels: Tensor, noise: OfBatch) -> tuple[Tensor, Tensor]:
        return super().__call__(network, attacked(network, images, labels, self.adversary, noise), labels, noise)


class Trades(Standard):
    """L(f(x), y) + beta * max over the ball around x of KL(f(x) || f(x')) (Zhang et al., 2019).

    The natural images are what the training accuracy is counted on.
    """

    def __init__(self, adversary: Adversary, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        assert adversary.beta is not None
        self.adversary, self.beta = adversary, adversary.beta

    def __call__(self, network: AnyClassifier, images: Tensor, labels: Tensor, noise: OfBatch) -> tuple[Tensor, Tensor]:
        s = self.adversary
        with frozen(network):
            natural = network(images).detach()
            moved = ascend(
                lambda x: divergence(natural, network(x)),
                images, constraint(s.norm, s.eps), s.steps, s.step_size, s.keep, noise,
            )  # fmt: skip
        # One pass for both, so that batch norm sees natural and moved images together, and statistics move once.
        logits, moved_logits = network(torch.cat([images, moved])).chunk(2)
        return self.cross_entropy(logits, labels) + self.beta * divergence(logits, moved_logits), logits


def divergence(logits: Tensor, other: Tensor) -> Tensor:
    """KL(softmax of (n, K) `logits` || softmax of `other`), one value per sample, in float32 at least."""
    first, second = in_full(logits).log_softmax(1), in_full(other).log_softmax(1)
    return kl_div(second, first, reduction="none", log_target=True).sum(1)


class Free(Standard):
    """One backward pass for both the weights and the image (Shafahi et al., 2019).

    Each batch comes several times in a row; what was added to the images is carried on, also to the next batch. The
    image's gradient is the training pass's own, in training mode.
    """

    def __init__(self, adversary: Adversary, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        self.adversary, self.constraint = adversary, constraint(adversary.norm, adversary.eps)
        self.added: Tensor | None = None

    def __call__(self, network: AnyClassifier, images: Tensor, labels: Tensor, noise: OfBatch) -> tuple[Tensor, Tensor]:
        if self.added is None:
            start = self.constraint.random(images, noise) if self.adversary.random_start else images
            self.added = start - images
        self.images = images
        moved = self.constraint.project(images + self.added.to(images), images)
        self.moved = moved.detach().requires_grad_()
        return super().__call__(network, self.moved, labels, noise)

    def after_backward(self) -> None:
        gradient = self.moved.grad
        assert gradient is not None
        moved = self.constraint.step(self.moved.detach(), gradient, self.adversary.step_size)
        self.added = self.constraint.project(moved, self.images) - self.images

    def state(self) -> dict[str, Tensor]:
        return {} if self.added is None else {"added": processes.gathered(self.added).cpu()}

    def load(self, state: dict[str, Tensor], first: int, last: int) -> None:
        self.added = state["added"][first:last] if state else None


def training_method(adversary: Adversary, label_smoothing: float = 0.0) -> Standard:
    """The method that a configuration names; plain training where its norm is "none"."""
    if adversary.norm == "none":
        return Standard(label_smoothing)
    methods: dict[str, type[Pgd | Free | Trades]] = {"pgd": Pgd, "free": Free, "trades": Trades}
    return methods[adversary.method](adversary, label_smoothing)


def training_passes(adversary: Adversary, recipe: Recipe, images: int, held_out: int) -> int:
    """How often one image goes forward or backward through the network in a training on `images`.

    That of the `held_out` images which are looked at after each epoch counts. A way back to weights and image alike,
    which costs two, is two.
    """
    learnt, replays = 3, adversary.replays or 1
    of_image = {
        "pgd": learnt + (0 if adversary.norm == "none" else passes(adversary)),
        "free": learnt * replays,
        # Of the natural images too: one pass for the attack to compare with, and what is learnt of them.
        "trades": 2 * learnt + 1 + passes(adversary),
    }[adversary.method]
    batch = min(recipe.batch_size, images)
    seen = images // batch * (batch // recipe.accumulate) * recipe.accumulate
    return recipe.epochs * (seen * of_image + held_out * check_passes(adversary))
