"""A data set by its settings."""

from collections.abc import Sequence
from pathlib import Path

import torch

from robsynth.config import Dataset
from robsynth.data.decode import centre, random_crop
from robsynth.data.images import DataSet, ImageSet, MemoryImages, StreamedImages, interleave_classes
from robsynth.data.mnist5k import mnist5k
from robsynth.data.sources import Listing, find_listings
from robsynth.data.sources.listing import digest_of
from robsynth.data.sources.imagenet import chosen
from robsynth.data.sources.locate import KNOWN
from robsynth.errors import RequestError
from robsynth.progress import track
from robsynth.randomness import generator

DATA_SETS = ("mnist5k", *KNOWN)
# Sets of fewer bytes of pixels are decoded once and kept; larger ones are decoded as they are needed.
IN_MEMORY = 2 * 2**30


def load_data(settings: Dataset) -> DataSet:
    """The data set, from the first of its sources that is here.

    In both splits the classes take turns in a fixed order, so that any prefix is balanced.

    Raises
    ------
    RequestError
        If it cannot be found, a class has no image, a label is out of range, or an image cannot be read.
    """
    if settings.name == "mnist5k":
        return mnist5k()
    if settings.name not in KNOWN:
        raise RequestError(f"dataset: found {settings.name!r}, allowed: {', '.join(DATA_SETS)}")
    train, test, where = find_listings(settings.name, settings.root, settings.hub, settings.download)
    if train.label_names != test.label_names:
        raise RequestError(f"{where}: train and test have different classes")
    sets = [
        _images(f"{settings.name}/{split}", _of_classes(_checked(listing, where), settings.classes, where), settings)
        for split, listing in (("train", train), ("test", test))
    ]
    return DataSet(settings.name, *sets, where)


def _checked(listing: Listing, where: str) -> Listing:
    classes = len(listing.label_names)
    for i, label in enumerate(listing.labels):
        if not 0 <= label < classes:
            raise RequestError(f"{listing.origin(i)}: found label {label}, allowed: 0 to {classes - 1}")
    return listing


def _of_classes(listing: Listing, names: Sequence[str] | None, where: str) -> Listing:
    """The images of the classes called `names`, numbered in that order; of all classes without names."""
    names = tuple(listing.label_names if names is None else names)
    if unknown := [name for name in names if name not in listing.label_names]:
        raise RequestError(f"dataset.classes: found {unknown[0]!r}, allowed: {', '.join(listing.label_names)}")
    number = {listing.label_names.index(name): i for i, name in enumerate(names)}
    present = set(listing.labels)
    if empty := [name for name in names if listing.label_names.index(name) not in present]:
        rest = ",".join(name for name in names if name not in empty)
        raise RequestError(f"{where}: has no image of class {', '.join(empty)}; dataset.classes=[{rest}] does without")
    if names == tuple(listing.label_names):
        return listing
    rows = [i for i, label in enumerate(listing.labels) if label in number]
    return chosen(listing, rows, [number[listing.labels[i]] for i in rows], names)


def _images(name: str, listing: Listing, settings: Dataset) -> ImageSet:
    size = settings.size
    if size is None:
        size = min(listing.open(0).size)
    labels = torch.tensor(listing.labels)
    order = interleave_classes(labels, torch.randperm(len(labels), generator=generator(0, "order of", name)))
    rows = order.tolist()
    if len(rows) * 3 * size**2 <= IN_MEMORY:
        pixels = torch.empty((len(rows), 3, size, size), dtype=torch.uint8)
        for place, i in enumerate(track(rows, f"decoding {Path(name)}")):
            pixels[place] = centre(listing.open(i), size)
        return MemoryImages(name, pixels, labels[order], listing.label_names)
    return StreamedImages(
        name, labels[order], listing.label_names, (3, size, size), digest_of(listing.digest, listing.label_names, size),
        lambda i: centre(listing.open(rows[i]), size),
        lambda i, noise: random_crop(listing.open(rows[i]), size, noise),
    )  # fmt: skip
