"""Finding a data set: local directories first, then a download."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robsynth.data.sources import cifar_batches as cifar
from robsynth.data.sources import imagenet, tree
from robsynth.data.sources import parquet as hub_layout
from robsynth.data.sources.listing import Listing
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.progress import say

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"


@dataclass(frozen=True)
class Known:
    """A data set by name: the folders it may lie in below a root, its classes, and where it can be had."""

    folders: tuple[str, ...]
    label_names: tuple[str, ...] | None = None
    hub: str | None = None
    archive: str | None = None
    hub_splits: tuple[str, str] = ("train", "test")
    advice: str = ""


KNOWN = {
    "cifar10": Known(("cifar10", "cifar-10", "."), CIFAR10, hub="uoft-cs/cifar10"),
    "imagenet": Known(
        ("imagenet", "ILSVRC2012", "imagenet-1k"),
        hub="ILSVRC/imagenet-1k",
        hub_splits=("train", "validation"),
        advice="the hub asks for its terms to be accepted: `hf auth login` first",
    ),
    "restricted_imagenet": Known(
        ("restricted_imagenet", "restricted_imagenet_64", "imagenet", "ILSVRC2012", "imagenet-1k"),
        tuple(imagenet.SUPERCLASSES),
        hub="ILSVRC/imagenet-1k",
        hub_splits=("train", "validation"),
        advice="the hub asks for its terms to be accepted: `hf auth login` first",
    ),
    "horse2zebra": Known(("horse2zebra",), ("horse", "zebra"), archive=f"{CYCLEGAN}/horse2zebra.zip"),
    "apple2orange": Known(("apple2orange",), ("apple", "orange"), archive=f"{CYCLEGAN}/apple2orange.zip"),
    "summer2winter": Known(
        ("summer2winter_yosemite", "summer2winter"),
        ("summer", "winter"),
        archive=f"{CYCLEGAN}/summer2winter_yosemite.zip",
    ),
    "cats_vs_dogs": Known(
        ("cats_vs_dogs", "cats_vs_dogs_128"),
        ("cat", "dog"),
        advice="the hub's microsoft/cats_vs_dogs has no test split: split it into train/ and test/ folders",
    ),
    "image_folder": Known(("image_folder",), advice="dataset.root=DIR with train/CLASS/*.png and test/CLASS/*.png"),
}
LAYOUTS = "train/CLASS/* and test/CLASS/*, trainA trainB testA testB, train*.parquet and test*.parquet"


def roots() -> list[Path]:
    """Where data sets are looked for: the directories in ROBSYNTH_DATA, then `data` in the user's cache."""
    named = [Path(part) for part in os.environ.get("ROBSYNTH_DATA", "").split(os.pathsep) if part]
    return [*named, cache_directory() / "data"]


def find_listings(name: str, root: str | None, hub: str | None, download: bool) -> tuple[Listing, Listing, str]:
    """Train and test of a data set, and where they were found.

    Raises
    ------
    RequestError
        If it is nowhere; the message lists what was looked for and what would help.
    """
    known = KNOWN[name]
    if root is not None and not Path(root).is_dir():
        raise RequestError(f"dataset.root: no directory {root}")
    places = [Path(root)] if root else [base / folder for base in roots() for folder in known.folders]
    if root:
        places += [Path(root) / folder for folder in known.folders if folder != "."]
    for place in places:
        if open_split := _layout(name, place, known):
            return open_split("train"), open_split("test"), str(place.name if not root else root)
    tried = f"looked in {', '.join(str(place) for place in places)} for {LAYOUTS}"
    if download:
        try:
            return _download(name, known, hub or known.hub)
        except (RequestError, OSError, RuntimeError) as error:
            tried += f"; then tried to download it: {error}"
    advice = f"; {known.advice}" if known.advice else ""
    raise RequestError(
        f"dataset: no {name} here ({tried}); set dataset.root=DIR or ROBSYNTH_DATA to a directory that has it{advice}"
    )


def _layout(name: str, place: Path, known: Known) -> Callable[[str], Listing] | None:
    """How to open a split of what lies in `place`, or None if nothing known does."""
    if not place.is_dir():
        return None
    if name == "cifar10" and cifar.is_cifar_batches(place):
        return lambda split: cifar.cifar_batches(place, split, CIFAR10)
    if tree.is_domain_tree(place) and known.label_names and len(known.label_names) == 2:
        names = known.label_names
        return lambda split: tree.domain_tree(place, split, names)
    if tree.is_class_tree(place):
        return _class_tree(name, place, known)
    if name != "imagenet" and hub_layout.is_parquet(place) or name == "imagenet" and hub_layout.is_parquet(place):
        return lambda split: _superclasses(name, hub_layout.parquet(place, split, known.label_names))
    return None


def _class_tree(name: str, place: Path, known: Known) -> Callable[[str], Listing]:
    names = tree.class_names(place)
    if name == "imagenet" or (name == "restricted_imagenet" and not set(names) <= set(imagenet.SUPERCLASSES)):
        folders = imagenet.imagenet_folders(place)
        return lambda split: _superclasses(name, tree.class_tree(place, split, folders))
    return lambda split: tree.class_tree(place, split, known.label_names or names)


def _superclasses(name: str, listing: Listing) -> Listing:
    """ImageNet's thousand classes become nine where nine were asked for."""
    whole = len(listing.label_names) == imagenet.CLASSES
    return imagenet.restricted(listing) if name == "restricted_imagenet" and whole else listing


def _download(name: str, known: Known, hub: str | None) -> tuple[Listing, Listing, str]:
    if hub is not None:
        say(f"{name}: from the hub, {hub}")
        train, test = (hub_layout.hub(hub, split, known.label_names) for split in known.hub_splits)
        return _superclasses(name, train), _superclasses(name, test), f"hub: {hub}"
    if known.archive is None:
        raise RequestError("there is no known address")
    from torchvision.datasets.utils import download_and_extract_archive

    say(f"{name}: from {known.archive}")
    target = cache_directory() / "data"
    download_and_extract_archive(known.archive, str(target), remove_finished=True)
    open_split = _layout(name, target / known.folders[0], known)
    if open_split is None:
        raise RequestError(f"{known.archive}: has another layout than trainA, trainB, testA, testB")
    return open_split("train"), open_split("test"), known.archive
