"""The authors' library (PyPI `robustness`, 1.2.1) as its walkthroughs use it, on a CPU and on today's torchvision.

Nothing in the library is changed. Around it, `shim` gives it two things that are gone or missing here: the module
`torchvision.models.utils` with the one function that the library imports from there (since torchvision 0.12 that
function is in `torch.hub` alone), and a `.cuda()` of tensors and modules that returns what it was called on. Precision
and memory layout are torch's defaults.

The library clamps what it normalises to [0, 1]. In the torch that was measured the gradient of a clamp is 0 at the
bounds themselves, so the library's pixels that reach 0 or 1 stay there. Between the bounds its steps are
robsynth's, as a test shows.
"""

import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robsynth.classifiers import AnyClassifier, Classifier
from robsynth.config import Generation
from robsynth.config.commands import Config
from robsynth.data import DataSet
from speed_ways.turns import Turns


def shim() -> None:
    """Make the library importable and its `.cuda()` harmless, in this process."""
    utils = types.ModuleType("torchvision.models.utils")
    utils.load_state_dict_from_url = torch.hub.load_state_dict_from_url  # type: ignore[attr-defined]
    sys.modules[utils.__name__] = utils
    for kind in (Tensor, nn.Module):
        kind.cuda = lambda self, *_, **__: self  # type: ignore[assignment, method-assign]


class Bare(nn.Module):
    """A classifier of ours without its normalisation, which the library brings itself."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.features, self.head = classifier.features, classifier.head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).relu().mean((2, 3)))


class Pixels(torch.utils.data.Dataset):
    """The library's loaders want a data set like torchvision's CIFAR10: Pillow images, transformed one by one."""

    def __init__(self, root: str, data: DataSet, train: bool, transform: Any, download: bool) -> None:
        images = data.train if train else data.test.head(10)
        self.data = images.pixels(range(len(images))).permute(0, 2, 3, 1).squeeze(3).numpy()
        self.labels, self.transform = images.labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.data[i])), self.labels[i]


class Clocked:
    """A loader whose epochs are turns."""

    def __init__(self, loader: Any, turns: Turns) -> None:
        self.loader, self.turns = loader, turns

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        self.turns.start()
        yield from self.loader
        self.turns.stop()


def wrapped(classifier: AnyClassifier, data: Any) -> nn.Module:
    """The classifier as the library has it, with the weights shared and the memory layout that is torch's default."""
    from robustness.model_utils import make_and_restore_model

    assert isinstance(classifier, Classifier)
    bare = Bare(classifier).to(memory_format=torch.contiguous_format)
    return make_and_restore_model(arch=bare, dataset=data, add_custom_forward=True)[0]


def described(classifier: AnyClassifier, **more: Any) -> Any:
    """The library's description of a data set: here the normalisation matters."""
    from robustness.data_augmentation import TEST_TRANSFORMS_DEFAULT, TRAIN_TRANSFORMS_DEFAULT
    from robustness.datasets import DataSet as Description

    assert isinstance(classifier, Classifier)
    return Description(
        "images", "", num_classes=classifier.classes, mean=classifier.mean.flatten(), std=classifier.std.flatten(),
        transform_train=TRAIN_TRANSFORMS_DEFAULT(32), transform_test=TEST_TRANSFORMS_DEFAULT(32), **more,
    )  # fmt: skip


def train(classifier: Classifier, config: Config, data: DataSet, folder: Path, turns: Turns) -> None:
    """Train in place, by the library's loaders, augmentation and loop; every epoch is a turn."""
    shim()
    from cox.utils import Parameters
    from robustness.datasets import CIFAR
    from robustness.defaults import PGD_ARGS, TRAINING_ARGS, check_and_fill_args
    from robustness.train import train_model

    recipe, adversary = config.recipe, config.adversary
    torch.manual_seed(config.seed)
    description = described(classifier, custom_class=Pixels, custom_class_args={"data": data})
    loader, few = description.make_loaders(workers=2, batch_size=recipe.batch_size)
    args = Parameters({
        "out_dir": str(folder), "epochs": recipe.epochs, "lr": recipe.learning_rate, "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay, "step_lr": recipe.drops[0], "log_iters": recipe.epochs, "adv_train": 1,
        "constraint": {"l2": "2", "linf": "inf"}[adversary.norm], "eps": adversary.eps,
        "attack_lr": adversary.step_size, "attack_steps": adversary.steps, "use_best": int(adversary.keep == "best"),
        "random_start": int(adversary.random_start),
    })  # fmt: skip
    args = check_and_fill_args(check_and_fill_args(args, TRAINING_ARGS, CIFAR), PGD_ARGS, CIFAR)
    train_model(args, wrapped(classifier, description), (Clocked(loader, turns), few))


def painter(classifier: AnyClassifier, settings: Generation, notebook: bool) -> Any:
    """A function from start images and classes to generated images.

    `notebook`: with the loss as a function of the model, as in the authors' notebooks, for which the library runs the
    network twice a step; otherwise with the library's built-in loss, which is the same.
    """
    shim()
    model = wrapped(classifier, described(classifier)).eval()
    criterion = nn.CrossEntropyLoss(reduction="none")

    def custom_loss(network: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
        return criterion(network(x), y), None

    def paint(start: Tensor, wanted: Tensor, steps: int) -> Tensor:
        _, images = model(
            start, wanted, make_adv=True, targeted=True, constraint="2", eps=settings.eps,
            step_size=settings.step_size, iterations=steps, use_best=settings.keep == "best",
            custom_loss=custom_loss if notebook else None,
        )  # fmt: skip
        return images.detach()

    return paint
