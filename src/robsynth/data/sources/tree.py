"""Image files in folders: a folder a class, or CycleGAN's trainA, trainB, testA, testB."""

from collections.abc import Sequence
from pathlib import Path

from robsynth.data.sources.listing import Listing, digest_of
from robsynth.errors import RequestError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
# What a split is called, and what it may be called instead.
SPLITS = {"train": ("train",), "test": ("test", "val", "valid", "validation")}


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, in the order of their names; other files are passed over."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def split_folder(directory: Path, split: str) -> Path | None:
    return next((directory / name for name in SPLITS[split] if (directory / name).is_dir()), None)


def is_class_tree(directory: Path) -> bool:
    train = split_folder(directory, "train")
    return train is not None and any(path.is_dir() for path in train.iterdir())


def class_names(directory: Path) -> tuple[str, ...]:
    """The classes of a class-per-folder tree: its training folders in the order of their names."""
    train = split_folder(directory, "train")
    assert train is not None
    return tuple(sorted(path.name for path in train.iterdir() if path.is_dir()))


def class_tree(directory: Path, split: str, names: Sequence[str]) -> Listing:
    """`train/CLASS/*.png` and `test/CLASS/*.png` (or `val`)."""
    folder = split_folder(directory, split)
    if folder is None:
        raise RequestError(f"{directory}: has no folder {' or '.join(SPLITS[split])}")
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    if strange := sorted(found - set(names)):
        raise RequestError(f"{folder}: found class {strange[0]!r}, allowed: {', '.join(names)}")
    return _listing(folder, [folder / name for name in names], names)


def is_domain_tree(directory: Path) -> bool:
    return (directory / "trainA").is_dir() and (directory / "trainB").is_dir()


def domain_tree(directory: Path, split: str, names: Sequence[str]) -> Listing:
    """`trainA/*.jpg`, `trainB/*.jpg`, `testA/*.jpg`, `testB/*.jpg`: A is the first class, B the second."""
    folders = [directory / f"{split}{side}" for side in "AB"]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise RequestError(f"{missing[0]}: no such folder; allowed: trainA, trainB, testA and testB")
    return _listing(directory, folders, names)


def _listing(root: Path, folders: Sequence[Path], names: Sequence[str]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        found = image_files(folder)
        files += found
        labels += [label] * len(found)
    if not files:
        raise RequestError(f"{root}: holds no images ({', '.join(SUFFIXES)})")
    digest = digest_of([(path.relative_to(root).as_posix(), path.stat().st_size) for path in files])
    return Listing(labels, tuple(names), lambda i: files[i].read_bytes(), lambda i: str(files[i]), digest)
