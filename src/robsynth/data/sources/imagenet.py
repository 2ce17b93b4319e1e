"""ImageNet's thousand classes, and the nine superclasses that Restricted ImageNet makes of some of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robsynth.data.sources.listing import Listing
from robsynth.data.sources.tree import class_names
from robsynth.errors import RequestError

CLASSES = 1000
MAPPING = "LOC_synset_mapping.txt"

# Inclusive ranges of ImageNet's class numbers (library of Engstrom et al., 2019).
SUPERCLASSES = {
    "dog": (151, 268),
    "cat": (281, 285),
    "frog": (30, 32),
    "turtle": (33, 37),
    "bird": (80, 100),
    "primate": (365, 382),
    "fish": (389, 397),
    "crab": (118, 121),
    "insect": (300, 319),
}


def imagenet_folders(directory: Path) -> tuple[str, ...]:
    """The folders of the thousand classes, in the order of their numbers.

    That is the order of their WordNet ids. Where some folders are absent the list comes from Kaggle's
    `LOC_synset_mapping.txt` beside `train`.
    """
    names, mapping = class_names(directory), directory / MAPPING
    if len(names) != CLASSES and mapping.is_file():
        names = tuple(line.split()[0] for line in mapping.read_text().splitlines() if line.strip())
    if len(names) != CLASSES:
        raise RequestError(
            f"{directory}: found {len(names)} classes in train, allowed: ImageNet's {CLASSES} folders, "
            f"or {MAPPING} beside train"
        )
    return names


def restricted(listing: Listing) -> Listing:
    """The images of the nine superclasses, with these for labels; the rest is left out."""
    superclass = {
        number: label
        for label, (first, last) in enumerate(SUPERCLASSES.values())
        for number in range(first, last + 1)
    }
    rows = [i for i, label in enumerate(listing.labels) if label in superclass]
    return chosen(listing, rows, [superclass[listing.labels[i]] for i in rows], tuple(SUPERCLASSES))


def chosen(listing: Listing, rows: Sequence[int], labels: Sequence[int], label_names: tuple[str, ...]) -> Listing:
    """Some rows of a listing, with other labels."""
    return replace(
        listing, labels=labels, label_names=label_names,
        read=lambda i: listing.read(rows[i]), origin=lambda i: listing.origin(rows[i]),
    )  # fmt: skip
