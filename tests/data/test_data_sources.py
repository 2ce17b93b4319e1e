"""Every layout that data sets come in, each from tiny generated files; and the real data, where ROBSYNTH_DATA has it.

What is asserted of the real data is asserted of a generated twin in the same layout too, which needs nothing.
"""

import http.server
import io
import os
import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from robsynth.config import Dataset
from robsynth.data import MemoryImages, StreamedImages, load_data
from robsynth.data.sources import KNOWN, find_source, locate
from robsynth.data.sources.imagenet import SUPERCLASSES
from robsynth.data.sources.parquet import files_of_split
from robsynth.errors import RequestError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NINE = ("dog", "cat", "frog", "turtle", "bird", "primate", "fish", "crab", "insect")
EIGHT = [name for name in NINE if name != "turtle"]
# The real data, before the fixture below hides it from the other tests.
REAL = os.environ.get("ROBSYNTH_DATA")


@pytest.fixture(autouse=True)
def _no_data_but_the_tests_own(monkeypatch, tmp_path_factory):
    monkeypatch.delenv("ROBSYNTH_DATA", raising=False)
    monkeypatch.setenv("ROBSYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def png(value: int, size: int = 8, mode: str = "RGB") -> bytes:
    """A square of one value."""
    file = io.BytesIO()
    pixels = np.full((size, size, len(mode)), value, dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(file, "png")
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def class_tree(root: Path, names: tuple[str, ...] = ("ant", "bee"), count: int = 2, held_out: str = "test") -> Path:
    """Image i of class k has the value 20 k + i, and is one more in the held-out split."""
    for offset, split in enumerate(("train", held_out)):
        for k, name in enumerate(names):
            for i in range(count):
                write(root / split / name / f"{i}.png", png(20 * k + i + offset))
    return root


def parquet(
    path: Path, labels: list[int | None], names: tuple[str, ...] | None, size: int = 8,
    columns: tuple[str, str] = ("image", "label"), image: Callable[[int], bytes | None] | None = None,
) -> Path:  # fmt: skip
    """Row i has the value i, in the hub's layout: encoded bytes, and class names in the file's metadata."""
    cells = [{"bytes": image(i) if image else png(i % 256, size), "path": None} for i in range(len(labels))]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({columns[0]: pyarrow.array(cells, kind), columns[1]: pyarrow.array(labels, pyarrow.int64())})
    label = {"names": list(names), "_type": "ClassLabel"} if names else {"dtype": "int64", "_type": "Value"}
    features = {columns[0]: {"_type": "Image"}, columns[1]: label}
    about = repr({"info": {"features": features}}).replace("'", '"')
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": about}), path)
    return path


def values(images) -> list[int]:
    return images.pixels(range(len(images)))[:, 0, 0, 0].tolist()


def load(root: Path, name: str = "image_folder", **settings):
    return load_data(Dataset(name, root=str(root), **settings))


# ---------------------------------------------------------------- a folder a class


@pytest.mark.parametrize("held_out", ["test", "val", "valid", "validation"])
def test_a_folder_a_class(tmp_path, held_out):
    data = load(class_tree(tmp_path, held_out=held_out))
    assert data.label_names == ("ant", "bee")
    assert data.shape == (3, 8, 8)
    for images, offset in ((data.train, 0), (data.test, 1)):
        assert isinstance(images, MemoryImages)
        # The classes take turns.
        assert images.labels.tolist() == [0, 1, 0, 1]
        assert sorted(values(images)) == [offset, offset + 1, 20 + offset, 21 + offset]
        assert all(value // 20 == label for value, label in zip(values(images), images.labels, strict=True))


def test_train_and_test_have_one_size(tmp_path):
    class_tree(tmp_path)
    write(tmp_path / "test" / "ant" / "0.png", png(1, size=40))
    assert load(tmp_path).test.shape == (3, 8, 8)
    assert load(tmp_path, size=16).train.shape == load(tmp_path, size=16).test.shape == (3, 16, 16)


def test_photographs_are_streamed_and_cropped_at_random_and_the_rest_is_kept(tmp_path, monkeypatch):
    class_tree(tmp_path)
    data = load(tmp_path, size=224)
    assert isinstance(data.train, StreamedImages)
    assert sorted(values(data.train)) == [0, 1, 20, 21]
    monkeypatch.setattr("robsynth.data.load.IN_MEMORY", 4 * 3 * 16**2 - 1)
    assert isinstance(load(tmp_path, size=8).train, MemoryImages)
    assert isinstance(load(tmp_path, size=16).train, StreamedImages)


def test_classes_are_picked_by_name_in_the_order_given(tmp_path):
    class_tree(tmp_path, ("ant", "bee", "cow"))
    data = load(tmp_path, classes=["cow", "ant"])
    assert data.label_names == ("cow", "ant")
    labelled = zip(values(data.train), data.train.labels.tolist(), strict=True)
    assert sorted(labelled) == [(0, 1), (1, 1), (40, 0), (41, 0)]
    with pytest.raises(RequestError, match=r"^dataset\.classes: found 'dog', allowed: ant, bee, cow$"):
        load(tmp_path, classes=["ant", "dog"])
    with pytest.raises(RequestError, match=r"^dataset\.classes: found ant,ant, allowed: each class once$"):
        load(tmp_path, classes=["ant", "ant"])


def test_hidden_and_other_files_are_passed_over(tmp_path):
    class_tree(tmp_path)
    write(tmp_path / "train" / "ant" / "notes.txt", b"no image")
    write(tmp_path / "train" / "ant" / "._0.png", b"no image")
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    assert len(load(tmp_path).train) == 4


def test_greyscale_is_repeated_and_transparency_dropped(tmp_path):
    class_tree(tmp_path, count=1)
    write(tmp_path / "train" / "ant" / "0.png", png(7, mode="L"))
    clear = np.full((8, 8, 4), 9, dtype=np.uint8)
    clear[..., 3] = 0
    Image.fromarray(clear).save(tmp_path / "train" / "bee" / "0.png")
    palette = Image.fromarray(np.full((8, 8, 3), 11, dtype=np.uint8)).quantize(4)
    palette.save(tmp_path / "test" / "ant" / "0.png", transparency=b"\x00")
    Image.new("CMYK", (8, 8), (0, 0, 0, 255)).save(tmp_path / "test" / "bee" / "0.jpg")
    (tmp_path / "test" / "bee" / "0.png").unlink()
    data = load(tmp_path)
    assert [image.unique().tolist() for image in data.train.pixels(range(2))] == [[7], [9]]
    assert [image.unique().tolist() for image in data.test.pixels(range(2))] == [[11], [0]]


def test_a_corrupt_image_is_named(tmp_path):
    class_tree(tmp_path)
    bad = write(tmp_path / "train" / "bee" / "1.png", png(3, size=40)[:60])
    named = rf"^{bad}: not a readable image \(.+\)$"
    with pytest.raises(RequestError, match=named):
        load(tmp_path, size=8)
    data = load(tmp_path, size=224)
    with pytest.raises(RequestError, match=named):
        data.train.pixels(range(4))


def test_sixteen_bits_a_channel_are_refused(tmp_path):
    class_tree(tmp_path)
    bad = tmp_path / "train" / "ant" / "1.png"
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(bad)
    with pytest.raises(RequestError, match=rf"^{bad}: .*mode I;16, allowed: 8 bits a channel"):
        load(tmp_path)


def test_a_missing_class_an_empty_folder_and_a_strange_one_are_named(tmp_path):
    class_tree(tmp_path)
    (tmp_path / "train" / "cow").mkdir()
    with pytest.raises(RequestError, match=r"has no image of class cow; dataset\.classes=\[ant,bee\] does without"):
        load(tmp_path)
    assert load(tmp_path, classes=["ant", "bee"]).label_names == ("ant", "bee")
    (tmp_path / "train" / "cow").rmdir()
    (tmp_path / "test" / "dog").mkdir()
    with pytest.raises(RequestError, match=rf"^{tmp_path}/test: found class 'dog', allowed: ant, bee$"):
        load(tmp_path)
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(RequestError, match=rf"^{tmp_path}: has no folder test or val"):
        load(tmp_path)
    for split in ("train", "test"):
        shutil.rmtree(tmp_path / split, ignore_errors=True)
        (tmp_path / split / "ant").mkdir(parents=True)
    with pytest.raises(RequestError, match=rf"^{tmp_path}/train: holds no images"):
        load(tmp_path)


def test_a_root_that_is_not_there_or_holds_nothing(tmp_path):
    with pytest.raises(RequestError, match=r"^dataset\.root: no directory .*/nowhere$"):
        load(tmp_path / "nowhere")
    with pytest.raises(RequestError, match=rf"^dataset: no image_folder here \(looked in {tmp_path},"):
        load(tmp_path)
    with pytest.raises(RequestError, match=r"^dataset\.hub: found 'a/b' beside dataset\.root"):
        load(tmp_path, hub="a/b")


# ---------------------------------------------------------------- decoded copies


def test_a_decoded_copy_is_used_until_the_files_change_and_rebuilt_if_damaged(tmp_path, monkeypatch, capsys):
    cache = Path(os.environ["ROBSYNTH_CACHE"])
    class_tree(tmp_path)
    first = load(tmp_path).train.fingerprint
    copy = next(cache.glob("decoded/image_folder-train-*.npz"))
    with monkeypatch.context() as patch:
        patch.setattr("robsynth.data.decoded.centre", lambda *_: pytest.fail("decoded again"))
        assert load(tmp_path).train.fingerprint == first
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 255
    for damage in (bytes(content), bytes(content[:100]), b""):
        copy.write_bytes(damage)
        assert load(tmp_path).train.fingerprint == first
    assert capsys.readouterr().err.replace("\n", " ").count("damaged") == 3
    changed = tmp_path / "train" / "bee" / "0.png"
    before = changed.stat()
    changed.write_bytes(png(23))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns - 1))
    assert changed.stat().st_size == before.st_size
    assert sorted(values(load(tmp_path).train)) == [0, 1, 21, 23]


def test_without_room_for_a_copy_the_images_are_there_all_the_same(tmp_path, monkeypatch, capsys):
    write(tmp_path / "file", b"")
    monkeypatch.setenv("ROBSYNTH_CACHE", str(tmp_path / "file"))
    assert len(load(class_tree(tmp_path / "data")).train) == 4
    assert "decoded without a copy" in capsys.readouterr().err


# ---------------------------------------------------------------- two domains


@pytest.mark.parametrize(
    ("name", "folder", "names"),
    [
        ("horse2zebra", "horse2zebra", ("horse", "zebra")),
        ("apple2orange", "apple2orange", ("apple", "orange")),
        ("summer2winter", "summer2winter_yosemite", ("summer", "winter")),
        ("cats_vs_dogs", "cats_vs_dogs", ("cat", "dog")),
        ("image_folder", "image_folder", ("A", "B")),
    ],
)
def test_two_domains(tmp_path, monkeypatch, name, folder, names):
    for value, part in enumerate(("trainA", "trainB", "testA", "testB")):
        write(tmp_path / folder / part / "0.png", png(value))
    monkeypatch.setenv("ROBSYNTH_DATA", str(tmp_path))
    data = load_data(Dataset(name))
    assert data.label_names == names
    assert (values(data.train), data.train.labels.tolist()) == ([0, 1], [0, 1])
    assert (values(data.test), data.test.labels.tolist()) == ([2, 3], [0, 1])
    shutil.rmtree(tmp_path / folder / "testB")
    with pytest.raises(RequestError, match=r"testB: no such folder, allowed: trainA, trainB, testA and testB$"):
        load_data(Dataset(name))


# ---------------------------------------------------------------- pickled CIFAR-10


def cifar(root: Path) -> Path:
    """Six batches of ten images; in each image red is the batch, green the row and blue the column."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    down, right = np.mgrid[0:32, 0:32]
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        image = np.stack([np.full((32, 32), number), down, right]).astype(np.uint8)
        batch = {"data": np.tile(image.reshape(1, -1), (10, 1)), "labels": list(range(10)), "filenames": ["a.png"] * 10}
        with (folder / name).open("wb") as file:
            pickle.dump(batch, file, protocol=2)
    return folder


@pytest.mark.parametrize("below", [".", "cifar10"])
def test_pickled_cifar(tmp_path, monkeypatch, below):
    folder = cifar(tmp_path / below)
    monkeypatch.setenv("ROBSYNTH_DATA", str(tmp_path))
    data = load_data(Dataset("cifar10"))
    assert (len(data.train), len(data.test), data.shape) == (50, 10, (3, 32, 32))
    assert data.label_names == CIFAR10
    assert data.train.labels.bincount().tolist() == [5] * 10
    assert sorted(values(data.train)) == sorted([0, 1, 2, 3, 4] * 10)
    image = data.test.pixels([0])[0]
    assert (image[0] == 5).all()
    assert image[1].tolist() == np.mgrid[0:32, 0:32][0].tolist()
    assert image[2].tolist() == np.mgrid[0:32, 0:32][1].tolist()
    assert load(folder, "cifar10").fingerprint == data.fingerprint


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_pickle_that_runs_something_is_refused_and_does_not_run(tmp_path):
    folder = cifar(tmp_path)
    (folder / "data_batch_3").write_bytes(pickle.dumps({"data": Malicious(tmp_path / "ran"), "labels": []}))
    with pytest.raises(RequestError, match=r"data_batch_3: not a batch of CIFAR-10 \(it names .*mkdir\)$"):
        load(tmp_path, "cifar10")
    assert not (tmp_path / "ran").exists()
    pickle.loads((folder / "data_batch_3").read_bytes())
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, "found label 10, allowed: 0 to 9"),
        ({"data": np.zeros((2, 3000), np.uint8), "labels": [0, 1]}, "not a batch of CIFAR-10"),
        ({"data": np.zeros((2, 3072), np.float32), "labels": [0, 1]}, "not a batch of CIFAR-10"),
        ({"labels": [0, 1]}, "not a batch of CIFAR-10"),
        ([1, 2], "not a batch of CIFAR-10"),
    ],
)
def test_a_batch_of_something_else_is_refused(tmp_path, batch, found):
    (cifar(tmp_path) / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(RequestError, match=found):
        load(tmp_path, "cifar10")


def test_a_truncated_or_missing_batch_is_named(tmp_path):
    batch = cifar(tmp_path) / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:1000])
    with pytest.raises(RequestError, match="data_batch_2: not a batch of CIFAR-10"):
        load(tmp_path, "cifar10")
    batch.unlink()
    with pytest.raises(RequestError, match="data_batch_2: no such file"):
        load(tmp_path, "cifar10")


# ---------------------------------------------------------------- ImageNet


# Class numbers at both ends of each superclass, and their neighbours; None is left out.
BOUNDARIES = {
    150: None, 151: "dog", 268: "dog", 269: None, 280: None, 281: "cat", 285: "cat", 286: None, 29: None, 30: "frog",
    32: "frog", 33: "turtle", 37: "turtle", 38: None, 79: None, 80: "bird", 100: "bird", 101: None, 117: None,
    118: "crab", 121: "crab", 122: None, 299: None, 300: "insect", 319: "insect", 320: None, 364: None,
    365: "primate", 382: "primate", 383: None, 388: None, 389: "fish", 397: "fish", 398: None, 0: None, 999: None,
}  # fmt: skip
SYNSETS = [f"n{number:08d}" for number in range(1000)]


def imagenet(root: Path, numbers: list[int], folders: bool = True) -> Path:
    """One image of each of these classes in train and val, whose value is the number's last two digits."""
    for split in ("train", "val"):
        for number in range(1000) if folders else numbers:
            (root / split / SYNSETS[number]).mkdir(parents=True)
        for number in numbers:
            write(root / split / SYNSETS[number] / "x.JPEG", png(number % 100))
    return root


@pytest.mark.parametrize("folders", [True, False], ids=["all folders", "some folders and Kaggle's list"])
def test_superclasses_of_an_imagenet_tree(tmp_path, monkeypatch, folders):
    imagenet(tmp_path / "imagenet", list(BOUNDARIES), folders)
    if not folders:
        with pytest.raises(RequestError, match=rf"found {len(BOUNDARIES)} classes in train, allowed: ImageNet's 1000"):
            load(tmp_path / "imagenet", "restricted_imagenet")
        lines = "".join(f"{name} thing, other name\n" for name in SYNSETS)
        (tmp_path / "imagenet" / "LOC_synset_mapping.txt").write_text(lines)
    monkeypatch.setenv("ROBSYNTH_DATA", str(tmp_path))
    data = load_data(Dataset("restricted_imagenet"))
    assert data.label_names == NINE == tuple(SUPERCLASSES)
    expected = sorted((number % 100, NINE.index(name)) for number, name in BOUNDARIES.items() if name)
    for images in (data.train, data.test):
        assert sorted(zip(values(images), images.labels.tolist(), strict=True)) == expected


def test_imagenet_itself(tmp_path):
    imagenet(tmp_path, list(range(1000)))
    data = load(tmp_path, "imagenet")
    assert data.label_names == tuple(SYNSETS)
    assert data.train.labels.tolist() == list(range(1000))
    assert values(data.train) == [number % 100 for number in range(1000)]


def test_a_tree_of_superclasses(tmp_path):
    data = load(class_tree(tmp_path, NINE, count=1), "restricted_imagenet")
    assert data.label_names == NINE
    assert data.train.labels.tolist() == list(range(9))
    assert values(data.train) == [20 * k for k in range(9)]


def test_superclasses_of_the_hubs_imagenet_whose_test_split_has_no_labels(tmp_path):
    names = tuple(f"name {number}" for number in range(1000))
    for split in ("train", "validation"):
        parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet", list(BOUNDARIES), names)
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [-1], names)
    data = load(tmp_path, "restricted_imagenet")
    assert data.label_names == NINE
    expected = sorted((i, NINE.index(name)) for i, name in enumerate(BOUNDARIES.values()) if name)
    for images in (data.train, data.test):
        assert sorted(zip(values(images), images.labels.tolist(), strict=True)) == expected
    (tmp_path / "data" / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(RequestError, match=r"test-00000-of-00001.parquet, row 0: found label -1, allowed: 0 to 999$"):
        load(tmp_path, "restricted_imagenet")


# ---------------------------------------------------------------- parquet


@pytest.mark.parametrize("folder", [".", "plain_text", "data/train"])
@pytest.mark.parametrize("columns", [("image", "label"), ("img", "labels")])
def test_parquet(tmp_path, folder, columns):
    # A repository that is called like a split, and a folder that is: the file's own name counts.
    root = tmp_path / "[a] *" / "train"
    parquet(root / folder / "train-00000-of-00002.parquet", [0, 1, 0], ("cat", "dog"), columns=columns)
    parquet(root / folder / "train-00001-of-00002.parquet", [1], ("cat", "dog"), columns=columns)
    parquet(root / folder / "test-00000-of-00001.parquet", [1, 0], ("cat", "dog"), columns=columns)
    data = load(root, "cats_vs_dogs")
    assert sorted(zip(values(data.train), data.train.labels.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1), (2, 0)]
    assert sorted(zip(values(data.test), data.test.labels.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert load(root, size=8).label_names == ("cat", "dog")


def test_which_parquet_files_hold_a_split():
    held_out = ["test", "validation"]
    assert files_of_split(["train.parquet", "test.parquet"], ["train"]) == ["train.parquet"]
    assert files_of_split(["d/train/0000.parquet", "d/test/0000.parquet"], held_out) == ["d/test/0000.parquet"]
    assert files_of_split(["validation-0.parquet", "test-0.parquet"], held_out) == ["test-0.parquet"]
    assert files_of_split(["validation-0.parquet"], held_out) == ["validation-0.parquet"]
    assert files_of_split(["training.parquet", "data.csv", "train.txt"], ["train"]) == []
    with pytest.raises(RequestError, match=r"found train\*\.parquet in large and small, allowed: one folder"):
        files_of_split(["small/train-0.parquet", "large/train-0.parquet"], ["train"])


def test_the_fingerprint_of_streamed_parquet_tells_the_content_and_not_the_place(tmp_path):
    for place in ("a", "b", "c"):
        for split in ("train", "test"):
            parquet(tmp_path / place / f"{split}.parquet", [0, 1, 1 if place == "c" else 0], ("cat", "dog"))
    a, b, c = (load(tmp_path / place, size=224).fingerprint for place in ("a", "b", "c"))
    assert a == b != c


def test_a_class_without_a_name_in_the_file_takes_the_data_sets(tmp_path):
    for split in ("train", "test"):
        parquet(tmp_path / f"{split}.parquet", [0, 1], None)
    assert load(tmp_path, "cats_vs_dogs").label_names == ("cat", "dog")
    with pytest.raises(RequestError, match="column 'label' has no class names, allowed: a ClassLabel"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"labels": [0, 7]}, r"train\.parquet, row 1: found label 7, allowed: 0 to 1$"),
        ({"labels": [0, None]}, r"train\.parquet, row 1: found label -1, allowed: 0 to 1$"),
        ({"labels": [0, 0]}, "has no image of class dog"),
        ({"columns": ("photo", "label")}, "found columns photo, label, allowed: image or img$"),
        ({"columns": ("image", "kind")}, "found columns image, kind, allowed: label or labels$"),
        ({"names": ("cat", "cow")}, "found classes cat, cow, allowed: cat, dog$"),
        ({"image": lambda i: None if i else png(0)}, r"train\.parquet, row 1: has no image$"),
        ({"image": lambda i: b"none" if i else png(0)}, r"train\.parquet, row 1: not a readable image"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_named(tmp_path, arguments, found):
    good = {"labels": [0, 1], "names": ("cat", "dog")}
    parquet(tmp_path / "test.parquet", **good)
    parquet(tmp_path / "train.parquet", **{**good, **arguments})
    with pytest.raises(RequestError, match=found):
        load(tmp_path, "cats_vs_dogs")


def test_a_damaged_copy_of_a_parquet_file_is_made_again(tmp_path):
    for split in ("train", "test"):
        parquet(tmp_path / f"{split}.parquet", [0, 1], ("cat", "dog"))
    first = load(tmp_path, size=224).fingerprint
    copies = list(Path(os.environ["ROBSYNTH_CACHE"]).rglob("*.arrow"))
    assert len(copies) == 2
    for copy in copies:
        os.truncate(copy, copy.stat().st_size // 2)
    assert load(tmp_path, size=224).fingerprint == first


def test_a_file_that_is_no_parquet_and_a_missing_split_are_named(tmp_path):
    write(tmp_path / "train.parquet", b"PAR1 and nothing else")
    with pytest.raises(RequestError, match=r"train\.parquet: not a readable data set \(.+\)$"):
        load(tmp_path)
    parquet(tmp_path / "train.parquet", [0, 1], ("cat", "dog"))
    with pytest.raises(RequestError, match=r"has no test\*\.parquet or val\*\.parquet"):
        load(tmp_path)


# ---------------------------------------------------------------- where data sets are looked for


def test_the_first_directory_of_several_that_has_it_counts(tmp_path, monkeypatch):
    places = [tmp_path / "nowhere", tmp_path / "a", tmp_path / "b"]
    class_tree(tmp_path / "a" / "image_folder", ("first",))
    class_tree(tmp_path / "b" / "image_folder", ("second",))
    class_tree(tmp_path / "b" / "cats_vs_dogs", ("cat", "dog"))
    monkeypatch.setenv("ROBSYNTH_DATA", os.pathsep.join(map(str, places)))
    assert load_data(Dataset("image_folder")).label_names == ("first",)
    assert find_source("cats_vs_dogs").place == tmp_path / "b" / "cats_vs_dogs"


def test_one_data_set_is_not_taken_for_another(tmp_path, monkeypatch):
    for split in ("train", "test"):
        parquet(tmp_path / "restricted_imagenet_64" / f"{split}.parquet", [0], NINE)
    monkeypatch.setenv("ROBSYNTH_DATA", str(tmp_path))
    assert find_source("restricted_imagenet").layout == "parquet"
    for name in ("cifar10", "imagenet", "cats_vs_dogs", "image_folder"):
        with pytest.raises(RequestError, match=rf"^dataset: no {name} here"):
            find_source(name, download=False)


@pytest.mark.parametrize("name", KNOWN)
def test_without_data_the_message_says_what_would_help(name):
    with pytest.raises(RequestError) as caught:
        load_data(Dataset(name, download=False))
    message = str(caught.value)
    assert "\n" not in message
    assert "ROBSYNTH_DATA" in message
    assert "train/CLASS/*" in message
    known = KNOWN[name]
    assert ("dataset.download=true" in message) == bool(known.hub or known.archive)


# ---------------------------------------------------------------- downloads, from a server on this machine


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does, and with files, from `content`: path to bytes."""

    content: dict[str, bytes] = {}  # noqa: RUF012

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        body = self.content.get(self.path.split("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", f'"{abs(hash(body))}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.content = {}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def in_a_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python, as the hub's address is read once; stdout must stay for machines."""
    imports = "from robsynth.config import Dataset\nfrom robsynth.data import load_data\n"
    return subprocess.run(
        [sys.executable, "-c", imports + code], capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, **environment},
    )  # fmt: skip


LOAD = "data = load_data(Dataset('cats_vs_dogs', hub='some/pets'))\nprint(data.train.labels.tolist(), data.source)"


def test_a_data_set_of_the_hub_is_downloaded_once_and_then_needs_no_network(tmp_path, server):
    names = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet", "README.md")
    listed = ", ".join(f'{{"rfilename": "plain/{name}"}}' for name in names)
    about = f'{{"id": "some/pets", "sha": "{"0" * 40}", "siblings": [{listed}]}}'
    Server.content["/api/datasets/some/pets"] = about.encode()
    for name in names[:2]:
        path = parquet(tmp_path / name, [0, 1], ("cat", "dog"))
        Server.content[f"/datasets/some/pets/resolve/{'0' * 40}/plain/{name}"] = path.read_bytes()
    # The second file is not there at first: what came does not count as the data set.
    late = Server.content.popitem()
    hub = {"HF_ENDPOINT": server, "HF_HOME": str(tmp_path / "hub")}
    broken = in_a_process(LOAD, **hub)
    assert "RequestError: dataset: no cats_vs_dogs here" in broken.stderr
    Server.content.update([late])
    assert in_a_process(LOAD, **hub).stdout == "[0, 1] some--pets (parquet)\n"
    assert in_a_process(LOAD, HF_ENDPOINT="http://127.0.0.1:9").stdout == "[0, 1] some--pets (parquet)\n"


def test_without_a_network_the_message_comes_soon_and_says_so():
    done = in_a_process("load_data(Dataset('restricted_imagenet'))", HF_ENDPOINT="http://127.0.0.1:9")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("robsynth.errors.RequestError: dataset: no restricted_imagenet here (looked in ")
    assert "then tried to download it: hub data set ILSVRC/imagenet-1k: " in last
    assert "`hf auth login` first" in last
    assert done.stdout == ""


def test_an_archive_is_unpacked_whole_or_not_at_all(server, monkeypatch):
    known = replace(KNOWN["horse2zebra"], archive=f"{server}/horse2zebra.zip")
    monkeypatch.setitem(locate.KNOWN, "horse2zebra", known)
    with pytest.raises(RequestError, match=r"then tried to download it: http://.*horse2zebra.zip: HTTP Error 404"):
        load_data(Dataset("horse2zebra"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for value, part in enumerate(("trainA", "trainB", "testA", "testB")):
            file.writestr(f"horse2zebra/{part}/0.png", png(value))
    Server.content["/horse2zebra.zip"] = archive.getvalue()[:-30]
    with pytest.raises(RequestError, match="not a zip file"):
        load_data(Dataset("horse2zebra"))
    Server.content["/horse2zebra.zip"] = archive.getvalue()
    data = load_data(Dataset("horse2zebra"))
    assert (values(data.train), values(data.test), data.source) == ([0, 1], [2, 3], "horse2zebra (two domains)")
    Server.content.clear()
    assert load_data(Dataset("horse2zebra")).fingerprint == data.fingerprint


# ---------------------------------------------------------------- the real data, or its twin


def twin(root: Path) -> Path:
    """The layout of the real data: folders of the hub's, side by side; no turtle."""
    for split, count in (("train", 30), ("test", 10)):
        file = f"{split}-00000-of-00001.parquet"
        labels = [i % 10 for i in range(count)]
        parquet(root / "cifar10" / "plain_text" / file, labels, CIFAR10, 32, ("img", "label"))
        parquet(root / "cats_vs_dogs_128" / file, [i % 2 for i in range(count)], ("cat", "dog"), 128)
        superclasses = [NINE.index(EIGHT[i % 8]) for i in range(count)]
        parquet(root / "restricted_imagenet_64" / file, superclasses, NINE, 64)
    return root


@pytest.fixture(params=["generated", "real"] if REAL else ["generated"])
def photographs(request, tmp_path, monkeypatch) -> dict[str, tuple[int, int]]:
    """Sizes of train and test of the data sets that ROBSYNTH_DATA then has: the real ones, or their twin."""
    if request.param == "real":
        monkeypatch.setenv("ROBSYNTH_DATA", str(REAL))
        return {"cifar10": (50_000, 10_000), "cats_vs_dogs": (1985, 1987), "restricted_imagenet": (8191, 791)}
    monkeypatch.setenv("ROBSYNTH_DATA", str(twin(tmp_path)))
    return dict.fromkeys(("cifar10", "cats_vs_dogs", "restricted_imagenet"), (30, 10))


@pytest.mark.parametrize(
    ("name", "side", "label_names"),
    [("cifar10", 32, CIFAR10), ("cats_vs_dogs", 128, ("cat", "dog")), ("restricted_imagenet", 64, NINE)],
)
def test_photographs_in_the_hubs_layout(photographs, name, side, label_names):
    source = find_source(name, download=False)
    assert source.layout == "parquet"
    digests = set()
    for split, count in zip(("train", "test"), photographs[name], strict=True):
        listing = source.open(split)
        assert len(listing.labels) == count
        assert listing.label_names == label_names
        present = {label_names[label] for label in listing.labels.unique().tolist()}
        assert present == set(label_names) - {"turtle"}
        for i in (0, count // 2, count - 1):
            image = listing.open(i)
            assert (image.size, image.mode) == ((side, side), "RGB")
        digests.add(listing.digest)
    assert len(digests) == 2


def test_photographs_of_eight_superclasses(photographs):
    with pytest.raises(RequestError, match=r"has no image of class turtle; dataset\.classes=\[dog,cat,frog,bird,"):
        load_data(Dataset("restricted_imagenet", download=False))
    data = load_data(Dataset("restricted_imagenet", size=32, classes=EIGHT, download=False))
    assert (len(data.train), len(data.test)) == photographs["restricted_imagenet"]
    assert data.label_names == tuple(EIGHT)
    assert data.shape == (3, 32, 32)
    assert data.test.labels[:8].tolist() == list(range(8))
    mean = data.train.take(range(24))[0].mean()
    assert 0 < mean < 1


def test_photographs_brought_to_the_papers_size_are_streamed(photographs):
    data = load_data(Dataset("cats_vs_dogs", size=224, download=False))
    assert isinstance(data.train, StreamedImages)
    images, labels = data.train.take([0, 1])
    assert images.shape == (2, 3, 224, 224)
    assert labels.tolist() == [0, 1]
    crops = [data.train.augmented([0], lambda _, seed=seed: torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(crops[0], crops[1])
    assert crops[0].shape == (1, 3, 224, 224)
