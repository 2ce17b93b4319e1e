"""Finding a data set: local directories first, then a download."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robsynth.data.sources import cifar_batches as cifar
from robsynth.data.sources import imagenet, tree
from robsynth.data.sources import parquet as hub_layout
from robsynth.data.sources.download import download_archive, download_from_hub, downloads, hub_copy
from robsynth.data.sources.listing import Listing
from robsynth.errors import RequestError
from robsynth.files import some

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
IMAGENET = ("imagenet", "ILSVRC2012", "imagenet-1k")
TERMS = "the hub asks for its terms to be accepted: `hf auth login` first"
LAYOUTS = "train/CLASS/* and test/CLASS/*, trainA trainB testA testB, or train*.parquet and test*.parquet"


@dataclass(frozen=True)
class Known:
    """A data set by name: the folders it may lie in below a root, its classes, and where it can be had.

    `test` is what the test split may be called, the first that is there counts.
    """

    folders: tuple[str, ...]
    label_names: tuple[str, ...] | None = None
    hub: str | None = None
    archive: str | None = None
    test: tuple[str, ...] = ("test", "val", "valid", "validation")
    advice: str = ""

    def names_of(self, split: str) -> tuple[str, ...]:
        return ("train",) if split == "train" else self.test


def _imagenet(folders: tuple[str, ...], label_names: tuple[str, ...] | None = None) -> Known:
    # ImageNet's own test split has no labels, so that one comes last.
    test = ("val", "valid", "validation", "test")
    return Known(folders, label_names, hub="ILSVRC/imagenet-1k", test=test, advice=TERMS)


def _domains(folder: str, *label_names: str) -> Known:
    return Known((folder,), label_names, archive=f"{CYCLEGAN}/{folder}.zip")


KNOWN = {
    "cifar10": Known(("cifar10", "cifar-10"), CIFAR10, hub="uoft-cs/cifar10"),
    "imagenet": _imagenet(IMAGENET),
    "restricted_imagenet": _imagenet(
        ("restricted_imagenet", "restricted_imagenet_64", *IMAGENET), tuple(imagenet.SUPERCLASSES)
    ),
    "horse2zebra": _domains("horse2zebra", "horse", "zebra"),
    "apple2orange": _domains("apple2orange", "apple", "orange"),
    "summer2winter": _domains("summer2winter_yosemite", "summer", "winter"),
    "cats_vs_dogs": Known(
        ("cats_vs_dogs", "cats_vs_dogs_128"),
        ("cat", "dog"),
        advice="no source has its test split: put it into train/cat, train/dog, test/cat, test/dog",
    ),
    "image_folder": Known(("image_folder",), advice="dataset.root=DIR with train/CLASS/*.png and test/CLASS/*.png"),
}


@dataclass(frozen=True)
class Source:
    """Where a data set is, how it is laid out, and how to list a split ("train" or "test") of it."""

    place: Path
    layout: str
    open: Callable[[str], Listing]


def roots() -> list[Path]:
    """Where data sets are looked for: the directories in ROBSYNTH_DATA."""
    return [Path(part).expanduser() for part in os.environ.get("ROBSYNTH_DATA", "").split(os.pathsep) if part]


def find_source(name: str, root: str | None = None, hub: str | None = None, download: bool = True) -> Source:
    """A data set's source: `root` if given, else `hub` if given, else wherever its name leads.

    Raises
    ------
    RequestError
        If it is nowhere; the message lists what was looked for, where, and what would help.
    """
    known = KNOWN[name]
    if root and hub:
        raise RequestError(f"dataset.hub: found {hub!r} beside dataset.root={root}, allowed: one of them")
    places = _places(known, root, hub)
    for place in places:
        if source := _look(name, place, known):
            return source
    searched = ", ".join(str(place) for place in places) or "no directory, as ROBSYNTH_DATA is not set,"
    tried = f"looked in {searched} for {LAYOUTS}"
    advice = ["set dataset.root=DIR or ROBSYNTH_DATA to a directory that has it"]
    address = hub or known.hub or known.archive
    if address and not root:
        if download:
            try:
                return _download(name, known, hub or known.hub)
            except RequestError as error:
                tried += f"; then tried to download it: {error}"
        else:
            advice.append(f"dataset.download=true fetches {address}")
    if known.advice:
        advice.append(known.advice)
    raise RequestError(f"dataset: no {name} here ({tried}); {'; '.join(advice)}")


def _places(known: Known, root: str | None, hub: str | None) -> list[Path]:
    if root:
        directory = Path(root).expanduser()
        if not directory.is_dir():
            raise RequestError(f"dataset.root: no directory {root}")
        return [directory, *(directory / folder for folder in known.folders)]
    if hub:
        return [hub_copy(hub)]
    # CIFAR's own archive is often unpacked beside other data sets.
    folders = (*known.folders, cifar.FOLDER) if known.label_names == CIFAR10 else known.folders
    places = [base / folder for base in roots() for folder in folders]
    if known.archive:
        places.append(downloads() / "archives" / known.folders[0] / known.folders[0])
    return [*places, hub_copy(known.hub)] if known.hub else places


def _look(name: str, place: Path, known: Known) -> Source | None:
    """What lies in `place`, or None if nothing known does."""
    if not place.is_dir():
        return None
    if known.label_names == CIFAR10:
        folder = place / cifar.FOLDER if (place / cifar.FOLDER).is_dir() else place
        if cifar.is_cifar_batches(folder):
            return Source(folder, "pickled batches", lambda split: cifar.cifar_batches(folder, split, CIFAR10))
    names = known.label_names
    if tree.is_domain_tree(place) and (names is None or len(names) == 2):
        return Source(place, "two domains", lambda split: tree.domain_tree(place, split, names or ("A", "B")))
    if tree.is_class_tree(place):
        return Source(place, "a folder a class", lambda split: _class_tree(name, place, known, split))
    if hub_layout.is_parquet(place):
        return Source(place, "parquet", lambda split: _parquet(name, place, known, split))
    return None


def _class_tree(name: str, place: Path, known: Known, split: str) -> Listing:
    found = tree.subfolders(place / "train")
    if known.hub == KNOWN["imagenet"].hub and not set(found) <= set(known.label_names or ()):
        listing = tree.class_tree(place, known.names_of(split), imagenet.imagenet_folders(place))
        return imagenet.restricted(listing) if name == "restricted_imagenet" else listing
    return tree.class_tree(place, known.names_of(split), known.label_names or found)


def _parquet(name: str, place: Path, known: Known, split: str) -> Listing:
    listing = hub_layout.parquet(place, known.names_of(split), known.label_names)
    if name == "restricted_imagenet" and len(listing.label_names) == imagenet.CLASSES:
        return imagenet.restricted(listing)
    if known.label_names and listing.label_names != known.label_names:
        raise RequestError(
            f"{place}: found classes {some(listing.label_names)}, allowed: {', '.join(known.label_names)}"
        )
    return listing


def _download(name: str, known: Known, hub: str | None) -> Source:
    if hub:
        place = download_from_hub(hub, [known.names_of("train"), known.names_of("test")])
    else:
        assert known.archive is not None
        place = download_archive(known.archive, known.folders[0])
    if source := _look(name, place, known):
        return source
    raise RequestError(f"{place}: found another layout, allowed: {LAYOUTS}")
