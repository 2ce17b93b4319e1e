"""Sample stores, and other people's samples."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from robsynth.errors import RequestError, RunError
from robsynth.files import write_atomically
from robsynth.samples import SampleStore, load_samples, open_samples, to_uint8

RANDOM = np.random.default_rng(0)


def images(count, side=8, channels=1):
    return RANDOM.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def filled(directory, count=7, size=3):
    store = SampleStore.create(directory, count, size, {"task": "generation"})
    everything = {"images": images(count), "wanted": np.arange(count)}
    for shard in store.missing():
        rows = store.shards[shard]
        store.write(shard, {name: array[rows.start : rows.stop] for name, array in everything.items()})
    return store, everything


def test_quantising_rounds_to_the_nearest_grey_level():
    values = torch.tensor([0, 0.4 / 255, 0.6 / 255, 0.5, 254.6 / 255, 1])
    assert to_uint8(values).tolist() == [0, 0, 1, 128, 255, 255]


def test_a_store_gives_back_what_went_in(tmp_path):
    store, everything = filled(tmp_path / "s")
    assert [len(rows) for rows in store.shards] == [3, 3, 1]
    found = load_samples(tmp_path / "s")
    assert np.array_equal(found.images, everything["images"])
    assert found.original is None


def test_a_store_goes_on_where_it_was(tmp_path):
    store, _ = filled(tmp_path / "s")
    store.path(1).unlink()
    again = SampleStore.create(tmp_path / "s", 7, 3, {"task": "generation"})
    assert again.missing() == [1]
    with pytest.raises(RequestError, match=r"00001\.npz: missing"):
        open_samples(tmp_path / "s")


def test_a_store_of_other_settings_is_not_overwritten(tmp_path):
    filled(tmp_path / "s")
    with pytest.raises(RequestError, match=r"task generation instead of inpainting.*force=true"):
        SampleStore.create(tmp_path / "s", 7, 3, {"task": "inpainting"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(RequestError, match=r"mine holds other files \(thesis\.tex\); allowed: an empty directory"):
        SampleStore.create(tmp_path / "mine", 7, 3, {})
    assert SampleStore.create(tmp_path / "mine", 7, 3, {}, among=True).missing() == [0, 1, 2]


def test_a_store_says_what_it_holds_and_since_when(tmp_path):
    filled(tmp_path / "s")
    manifest = json.loads((tmp_path / "s" / "store.json").read_text())
    assert list(manifest) == ["format", "count", "batch_size", "task", "started"]
    again = SampleStore.create(tmp_path / "s", 7, 3, {"task": "generation"})
    assert again.manifest == manifest


def test_damaged_shards_are_named(tmp_path):
    store, _ = filled(tmp_path / "s")
    store.path(0).write_bytes(store.path(0).read_bytes()[:50])
    with pytest.raises(RequestError, match=r"00000\.npz"):
        open_samples(tmp_path / "s")
    store.write(0, {"images": images(2), "wanted": np.arange(2)})
    with pytest.raises(RequestError, match=r"00000\.npz: does not hold 3 images"):
        open_samples(tmp_path / "s")
    np.savez(store.path(0), images=np.array([object()] * 3))
    with pytest.raises(RequestError, match=r"00000\.npz"):
        open_samples(tmp_path / "s")


def test_folders_and_npz_files_are_samples_too(tmp_path):
    grey, colour = images(3), images(3, channels=3)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, image in enumerate(grey):
        Image.fromarray(image[:, :, 0]).save(folder / f"{number}.png")
    (folder / "notes.txt").write_text("not an image")
    assert np.array_equal(load_samples(folder).images, grey)
    np.savez(tmp_path / "adm.npz", arr_0=colour, arr_1=np.arange(3))
    found = load_samples(tmp_path / "adm.npz")
    assert np.array_equal(found.images, colour)
    assert found.wanted.tolist() == [0, 1, 2]


def test_what_holds_no_samples_is_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "floats.npz", arr_0=np.zeros((2, 8, 8, 3)))
    (tmp_path / "text.npz").write_text("hello")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for side in (8, 9):
        Image.fromarray(images(1, side)[0, :, :, 0]).save(mixed / f"{side}.png")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "0.png").write_bytes(b"\x89PNG not really")
    for name in ("empty", "floats.npz", "text.npz", "mixed", "broken", "absent"):
        with pytest.raises(RequestError, match=name):
            load_samples(tmp_path / name)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    def fill(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(RunError, match=r"file: cannot be written \(No space left on device\)"):
        write_atomically(target, fill)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "before"
