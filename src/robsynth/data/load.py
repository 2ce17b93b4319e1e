"""A data set by its settings."""

import torch

from robsynth.config import Dataset
from robsynth.data.decode import centre, random_crop
from robsynth.data.decoded import decoded
from robsynth.data.images import DataSet, ImageSet, MemoryImages, StreamedImages, interleave_classes
from robsynth.data.mnist5k import mnist5k
from robsynth.data.sources import KNOWN, Listing, find_source
from robsynth.data.sources.listing import digest_of
from robsynth.errors import RequestError
from robsynth.files import some
from robsynth.randomness import generator

DATA_SETS = ("mnist5k", *KNOWN)
# Sets of fewer bytes of pixels are decoded once and kept; larger ones are decoded as they are needed.
IN_MEMORY = 2 * 2**30
# From this size on training takes its random crops from the whole photograph, so it is decoded each time.
PHOTOGRAPH = 224


def load_data(settings: Dataset) -> DataSet:
    """The data set, from the first of its sources that is here.

    In both splits the classes take turns in a fixed order, so that any prefix is balanced. Without a size in the
    settings both take the shorter side of the first training image.

    Raises
    ------
    RequestError
        If it cannot be found, a class has no image, a label is out of range, or an image cannot be read.
    """
    data = _load(settings)
    return data if settings.validation is None else _for_validation(data, settings.validation)


def _for_validation(data: DataSet, count: int) -> DataSet:
    """The last `count` training images in the place of the test images; of another name, so that figures are too."""
    rest, classes = len(data.train) - count, len(data.label_names)
    if rest < classes:
        raise RequestError(f"dataset.validation: found {count}, allowed: at most {len(data.train) - classes}")
    name = f"{data.name}-validation{count}"
    train = data.train.subset(torch.arange(rest), f"{name}/train")
    return DataSet(name, train, data.train.subset(torch.arange(rest, rest + count), f"{name}/test"), data.source)


def _load(settings: Dataset) -> DataSet:
    if settings.name == "mnist5k":
        for key in ("root", "hub", "size", "classes"):
            if (value := getattr(settings, key)) is not None:
                raise RequestError(f"dataset.{key}: found {value}, allowed: null (mnist5k is as it is)")
        return mnist5k()
    if settings.name not in KNOWN:
        raise RequestError(f"dataset: found {settings.name!r}, allowed: {', '.join(DATA_SETS)}")
    source = find_source(settings.name, settings.root, settings.hub, settings.download)
    train, test = (_of_classes(source.open(split), settings.classes, str(source.place)) for split in ("train", "test"))
    if train.label_names != test.label_names:
        raise RequestError(f"{source.place}: train and test have different classes")
    size = settings.size or min(train.open(0).size)
    return DataSet(
        settings.name,
        _images(f"{settings.name}/train", train, size),
        _images(f"{settings.name}/test", test, size),
        f"{source.place.name} ({source.layout})",
    )


def _of_classes(listing: Listing, names: list[str] | None, where: str) -> Listing:
    """The images of the classes called `names`, numbered in that order; of all classes without names."""
    names = list(listing.label_names if names is None else names)
    if unknown := [name for name in names if name not in listing.label_names]:
        raise RequestError(f"dataset.classes: found {unknown[0]!r}, allowed: {some(listing.label_names)}")
    if len(set(names)) < len(names):
        raise RequestError(f"dataset.classes: found {','.join(names)}, allowed: each class once")
    counts = listing.labels.bincount(minlength=len(listing.label_names)).tolist()
    images = dict(zip(listing.label_names, counts, strict=True))
    if empty := [name for name in names if not images[name]]:
        rest = [name for name in names if images[name]]
        hint = f"; dataset.classes=[{','.join(rest)}] does without" if len(rest) <= 100 else ""
        raise RequestError(f"{where}: has no image of class {some(empty)}{hint}")
    if tuple(names) == listing.label_names:
        return listing
    number = {name: i for i, name in enumerate(names)}
    return listing.relabelled([number.get(name) for name in listing.label_names], tuple(names))


def _images(name: str, listing: Listing, size: int) -> ImageSet:
    labels = listing.labels
    order = interleave_classes(labels, torch.randperm(len(labels), generator=generator(0, "order of", name)))
    if size < PHOTOGRAPH and len(order) * 3 * size**2 <= IN_MEMORY:
        return MemoryImages(name, decoded(name, listing, order, size), labels[order], listing.label_names)
    return StreamedImages(
        name, labels[order], listing.label_names, (3, size, size), digest_of(listing.digest, listing.label_names, size),
        lambda i: centre(listing.open(int(order[i])), size),
        lambda i, noise: random_crop(listing.open(int(order[i])), size, noise),
    )  # fmt: skip
