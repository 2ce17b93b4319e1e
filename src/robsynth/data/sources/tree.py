"""Image files in folders: a folder a class, or CycleGAN's trainA, trainB, testA, testB."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.errors import RequestError
from robsynth.files import IMAGE_SUFFIXES, some


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, in the order of their names; hidden and other files are passed over."""
    return [Path(file) for file in _image_files(folder)]


def _image_files(folder: Path) -> list[str]:
    # Strings: a million of them take a third of the memory of a million paths.
    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
    )


def subfolders(folder: Path) -> tuple[str, ...]:
    """The names of the visible folders directly in `folder`, sorted."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def is_class_tree(directory: Path) -> bool:
    return (directory / "train").is_dir() and bool(subfolders(directory / "train"))


def class_tree(directory: Path, split_names: Sequence[str], label_names: Sequence[str]) -> Listing:
    """`train/CLASS/*.png`, `test/CLASS/*.png`: the first folder that is called one of `split_names`."""
    folder = next((directory / name for name in split_names if (directory / name).is_dir()), None)
    if folder is None:
        raise RequestError(f"{directory}: has no folder {' or '.join(split_names)}")
    if strange := [name for name in subfolders(folder) if name not in set(label_names)]:
        raise RequestError(f"{folder}: found class {strange[0]!r}, allowed: {some(label_names)}")
    return _listing(folder, [folder / name for name in label_names], label_names)


def is_domain_tree(directory: Path) -> bool:
    return (directory / "trainA").is_dir() and (directory / "trainB").is_dir()


def domain_tree(directory: Path, split: str, label_names: Sequence[str]) -> Listing:
    """`trainA/*.jpg`, `trainB/*.jpg`, `testA/*.jpg`, `testB/*.jpg`: A is the first class, B the second."""
    folders = [directory / f"{split}{side}" for side in "AB"]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise RequestError(f"{missing[0]}: no such folder, allowed: trainA, trainB, testA and testB")
    return _listing(directory, folders, label_names)


def _listing(root: Path, folders: Sequence[Path], label_names: Sequence[str]) -> Listing:
    files: list[str] = []
    counts = []
    for folder in folders:
        found = _image_files(folder)
        files += found
        counts.append(len(found))
    if not files:
        raise RequestError(f"{root}: holds no images ({', '.join(IMAGE_SUFFIXES)})")
    facts = [os.stat(file) for file in files]
    names = [os.path.relpath(file, root).replace(os.sep, "/") for file in files]
    return Listing(
        torch.arange(len(folders)).repeat_interleave(torch.tensor(counts)),
        tuple(label_names),
        lambda i: Path(files[i]).read_bytes(),
        lambda i: files[i],
        digest_of(list(zip(names, (fact.st_size for fact in facts), strict=True))),
        digest_of([fact.st_mtime_ns for fact in facts]),
    )
