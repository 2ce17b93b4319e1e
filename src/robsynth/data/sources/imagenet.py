"""ImageNet's thousand classes, and the nine superclasses that Restricted ImageNet makes of some of them."""

from pathlib import Path

from robsynth.data.sources.listing import Listing
from robsynth.data.sources.tree import subfolders
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
    names, mapping = subfolders(directory / "train"), directory / MAPPING
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
    new_labels: list[int | None] = [None] * CLASSES
    for label, (first, last) in enumerate(SUPERCLASSES.values()):
        new_labels[first : last + 1] = [label] * (last - first + 1)
    return listing.relabelled(new_labels, tuple(SUPERCLASSES))
