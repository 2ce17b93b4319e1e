"""Samples of every kind, a chunk at a time, and what is said of those that are not fit to be measured."""

import io
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import torch
import torch_fidelity.registry as registry
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from robsynth.errors import RequestError
from robsynth.samples import (
    MemorySamples,
    SampleSet,
    SampleStore,
    WithImages,
    WithLabels,
    load_samples,
    open_samples,
)
from robsynth.samples.inspection import inspect

KINDS = ["memory", "store", "folder", "npy", "npz", "deflated", "registered"]
LABELS = np.arange(23) % 5


def noise(count=23, side=8, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def stored(directory, shard=4, **arrays):
    store = SampleStore.create(directory, len(arrays["images"]), shard, {"task": "generation"})
    for number, rows in enumerate(store.shards):
        store.write(number, {name: array[rows.start : rows.stop] for name, array in arrays.items()})
    return directory


def pictures(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{number:03}{suffix}")
    return folder


class Tensors(torch.utils.data.Dataset):
    """An input as torch-fidelity wants it."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row]


def register(monkeypatch, name, images):
    monkeypatch.setitem(registry.DATASETS_REGISTRY, name, lambda root, download: Tensors(images))


def opened(kind, path, images, monkeypatch):
    """These images as samples of a kind."""
    if kind == "memory":
        return MemorySamples("images", SampleSet(images))
    if kind == "store":
        return open_samples(stored(path / "store", images=images))
    if kind == "folder":
        return open_samples(pictures(path / "folder", images))
    if kind == "npy":
        np.save(path / "images.npy", images)
        return open_samples(path / "images.npy")
    if kind == "npz":
        np.savez(path / "images.npz", arr_0=images)
        return open_samples(path / "images.npz")
    if kind == "deflated":
        np.savez_compressed(path / "small.npz", images=images)
        return open_samples(path / "small.npz")
    monkeypatch.setenv("TORCH_HOME", str(path))
    register(monkeypatch, "images", torch.from_numpy(images).permute(0, 3, 1, 2))
    return open_samples("fidelity:images")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_pixels_in_chunks_of_any_size(tmp_path, monkeypatch, kind, channels):
    images = noise(channels=channels)
    samples = opened(kind, tmp_path, images, monkeypatch)
    assert (len(samples), samples.shape, samples.wanted) == (23, (8, 8, channels), None)
    for size, most in [(500, None), (1, None), (3, None), (4, None), (7, 9), (5, 100), (23, 23)]:
        chunks = [chunk.images for chunk in samples.chunks(size, most)]
        count = min(23, most or 23)
        assert [len(chunk) for chunk in chunks] == [min(size, count - first) for first in range(0, count, size)]
        np.testing.assert_array_equal(np.concatenate(chunks), images[:count])


def test_digests_are_of_the_pixels_whatever_they_are_read_from(tmp_path, monkeypatch):
    images = noise()
    seen = [inspect(opened(kind, tmp_path, images, monkeypatch), 10) for kind in KINDS]
    assert {one.digests for one in seen} == {seen[0].digests}
    assert len(set(seen[0].digests)) == 3
    images[12, 3, 4, 1] ^= 1
    changed = inspect(MemorySamples("x", SampleSet(images)), 10).digests
    assert [a == b for a, b in zip(changed, seen[0].digests, strict=True)] == [True, False, True]
    turned = inspect(MemorySamples("x", SampleSet(images.reshape(23, 4, 16, 3))), 10).digests
    assert not set(turned) & set(changed)


def test_what_is_known_of_the_images_has_a_digest_of_its_own(tmp_path):
    images = noise()
    assert MemorySamples("x", SampleSet(images)).inspection.about == ""
    rows = SampleSet(images, LABELS, start=255 - images, mask=images[..., :1])
    about = MemorySamples("x", rows).inspection.about
    path = stored(tmp_path / "s", 5, images=images, wanted=LABELS, start=255 - images, mask=images[..., :1])
    assert {inspect(open_samples(path), size).about for size in (3, 500)} == {about}
    assert MemorySamples("x", SampleSet(images, LABELS.astype(np.int32))).inspection.about == (
        MemorySamples("x", SampleSet(images, LABELS)).inspection.about
    )
    others = [
        SampleSet(images, LABELS[::-1], rows.start, mask=rows.mask),
        SampleSet(images, LABELS, original=rows.start, mask=rows.mask),
        SampleSet(images, LABELS),
    ]
    assert len({about, *(MemorySamples("x", one).inspection.about for one in others)}) == 4


def test_copies_are_counted():
    images = noise()
    images[[7, 9, 20]] = images[2]
    seen = inspect(MemorySamples("x", SampleSet(images)), 4)
    assert seen.duplicates == 3
    assert list(seen.warnings) == ["3 of 23 images are copies of an earlier one"]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 12), st.one_of(st.none(), st.integers(1, 30)))
def test_shards_and_chunks_need_not_fit(tmp_path_factory, shard, size, most):
    path = tmp_path_factory.mktemp("store") / "s"
    images = noise(11, 2, 1)
    samples = open_samples(stored(path, shard, images=images, wanted=LABELS[:11], original=images, mask=images))
    whole = SampleSet.joined(list(samples.chunks(size, most)))
    count = min(11, most or 11)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, LABELS[:count] if name == "wanted" else images[:count])
    assert samples.has == {"images", "wanted", "original", "mask"}
    assert len(samples.first(most)) == count
    assert samples.wanted.tolist() == LABELS[:11].tolist()


def test_exactly_as_many_as_asked_for_are_loaded(tmp_path):
    path = stored(tmp_path / "s", 10, images=noise(), wanted=LABELS)
    assert [len(load_samples(path, most=most).images) for most in (1, 10, 11, 23, 99, None)] == [1, 10, 11, 23, 23, 23]


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("images", "wanted")])
def test_labels_come_along(tmp_path, names):
    np.savez(tmp_path / "x.npz", **dict(zip(names, (noise(), LABELS.astype(np.int32)), strict=True)))
    samples = open_samples(tmp_path / "x.npz")
    assert samples.wanted.dtype == np.int64
    np.testing.assert_array_equal(samples.wanted, LABELS)
    np.testing.assert_array_equal(np.concatenate([chunk.wanted for chunk in samples.chunks(5)]), LABELS)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_large_file_is_never_whole_in_memory(tmp_path, save):
    save(tmp_path / "zeros.npz", arr_0=np.zeros((65_000, 32, 32, 3), np.uint8))
    tracemalloc.start()
    try:
        samples = open_samples(tmp_path / "zeros.npz")
        assert sum(len(chunk) for chunk in samples.chunks()) == 65_000
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_other_images_and_labels_may_stand_in_place_of_the_first(tmp_path):
    images = noise()
    samples = WithLabels(open_samples(pictures(tmp_path / "p", images)), LABELS)
    inverted = WithImages(samples, "inverted", lambda rows: 255 - rows.images)
    found = SampleSet.joined(list(inverted.chunks(6, 17)))
    np.testing.assert_array_equal(found.images, 255 - images[:17])
    np.testing.assert_array_equal(found.wanted, LABELS[:17])
    assert (len(inverted), inverted.name, inverted.has) == (23, "inverted", {"images", "wanted"})


def test_folders_are_read_in_the_order_of_names_and_say_what_is_in_them(tmp_path):
    images = noise(4)
    for name, image in zip(["b/0", "b/1", "a/9", "c/x"], images, strict=True):
        (tmp_path / "g" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "g" / f"{name}.png")
    samples = open_samples(tmp_path / "g")
    assert samples.folder_labels == ["a", "b", "b", "c"]
    np.testing.assert_array_equal(samples.first().images, images[[2, 0, 1, 3]])
    Image.fromarray(images[0]).save(tmp_path / "g" / "0.png")
    assert open_samples(tmp_path / "g").folder_labels is None


def test_files_that_are_no_images_are_left_out_and_named(tmp_path):
    folder = pictures(tmp_path / "f", noise(3))
    for name in (".DS_Store", "Thumbs.db", "._000.png", ".cache/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not for us")
    assert open_samples(folder).warnings == []
    (folder / "figures.csv").touch()
    (folder / "notes.txt").touch()
    samples = open_samples(folder)
    assert len(samples) == 3
    assert samples.warnings == ["files that are no images are ignored (2, e.g. figures.csv)"]


def test_lossy_files_bring_a_warning(tmp_path):
    images = noise(3)
    for suffix, lossless, name in [(".jpg", False, "JPEG"), (".webp", False, "WebP"), (".webp", True, None)]:
        folder = pictures(tmp_path / f"{suffix}{lossless}", images[:2])
        Image.fromarray(images[2]).save(folder / f"z{suffix}", lossless=lossless)
        samples = open_samples(folder)
        warning = f"{name} is lossy: figures differ from those of the images that were encoded (1 of 3, e.g. z{suffix})"
        assert samples.warnings == ([warning] if name else [])
        assert samples.inspection.warnings == tuple(samples.warnings)
    np.testing.assert_array_equal(samples.first().images, images)


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "L"])
def test_colours_are_made_rgb_where_any_image_has_them(tmp_path, mode):
    images = noise(2)
    folder = pictures(tmp_path / "f", images)
    other = Image.fromarray(images[0]).convert(mode)
    other.save(folder / "z.png")
    samples = open_samples(folder)
    assert samples.shape == (8, 8, 3)
    assert samples.warnings == [f"{mode} images are converted to RGB (1 of 3, e.g. z.png)"]
    np.testing.assert_array_equal(samples.first().images[2], np.asarray(other.convert("RGB")))


@pytest.mark.parametrize("colours", [False, True])
def test_sixteen_bits_a_channel_are_refused(tmp_path, colours):
    pictures(tmp_path / "f", noise(1, channels=1))
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    if colours:
        (tmp_path / "f" / "z.png").write_bytes(rgb16(deep))
    else:
        Image.fromarray(deep).save(tmp_path / "f" / "z.png")
    with pytest.raises(RequestError, match=r"z\.png: has more than 8 bits a channel"):
        open_samples(tmp_path / "f")


def rgb16(values):
    """A colour PNG of 16 bits a channel, which Pillow reads and cannot write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = np.repeat(values[:, :, None], 3, 2).astype(">u2")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def floats():
    values = np.full((2, 8, 8, 3), 0.25, np.float32)
    values[0, 0, 0] = [np.nan, np.inf, -1]
    values[1, 0, 0, 0] = 1
    return values


BAD = {
    "float": (floats(), "float32 from -1 to 1, 2 NaN or infinite; allowed: uint8, by rounding 255 \\* x"),
    "all nan": (floats() * np.nan, "float32 without a finite value, 384 NaN or infinite; allowed: uint8"),
    "int64": (noise().astype(np.int64), "int64 from 0 to 255; allowed: uint8 only, even where every value is"),
    "bool": (noise() > 100, "bool from 0 to 1; allowed: uint8"),
    "complex": (noise().astype(complex), "complex128 \\(23, 8, 8, 3\\), allowed: uint8"),
    "NCHW": (noise().transpose(0, 3, 1, 2).copy(), "channels first; .*transpose\\(0, 2, 3, 1\\)"),
    "flat": (noise().reshape(23, -1), "uint8 \\(23, 192\\), allowed: uint8 \\(n, height, width, 1 or 3\\)"),
    "number": (np.array(0.5), "float64 \\(\\), allowed: uint8"),
    "channels": (noise(channels=4), "4 channels"),
    "empty": (noise(0), "no images, their shape is \\(0, 8, 8, 3\\)"),
    "sizeless": (noise(2, 0), "no images, their shape is \\(2, 0, 0, 3\\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_are_no_images_are_refused_with_what_to_do(tmp_path, name):
    array, why = BAD[name]
    np.save(tmp_path / "bad.npy", array)
    np.savez_compressed(tmp_path / "bad.npz", arr_0=array)
    for path in ("bad.npy", "bad.npz: arr_0"):
        with pytest.raises(RequestError, match=f"{path}: .*{why}"):
            open_samples(tmp_path / path.partition(":")[0])
    with pytest.raises(RequestError, match=f"mine: .*{why}"):
        MemorySamples("mine", SampleSet(array))


BESIDE = {
    "wanted": [
        (LABELS[:22], "22 labels of 23 images"),
        (LABELS * 1.0, "whole numbers"),
        (np.eye(23, dtype=int), "whole numbers"),
    ],
    "start": [(noise(22), "uint8 \\(23, 8, 8, 3\\), as the images"), (noise() / 255, "found float64")],
    "mask": [(noise(channels=1)[:, :4], "as the images"), (noise(channels=1) > 0, "found bool")],
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_the_images_must_fit_them(tmp_path, name):
    for array, why in BESIDE[name]:
        with pytest.raises(RequestError, match=f"mine: {name}: .*{why}"):
            MemorySamples("mine", SampleSet(noise(), **{name: array}))
        if name == "wanted":
            np.savez(tmp_path / "bad.npz", arr_0=noise(), arr_1=array)
            with pytest.raises(RequestError, match=f"bad.npz: arr_1: .*{why}"):
                open_samples(tmp_path / "bad.npz")


def test_pickles_and_fortran_order_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.savez(tmp_path / "pickled.npz", arr_0=np.array([Trap(), None], dtype=object))
    np.save(tmp_path / "pickled.npy", np.array([Trap(), None], dtype=object))
    np.savez(tmp_path / "fortran.npz", arr_0=np.asfortranarray(noise()))
    for path, why in [("pickled.npz", "pickled"), ("pickled.npy", "pickled"), ("fortran.npz", "Fortran order")]:
        with pytest.raises(RequestError, match=f"{path}: .*{why}"):
            open_samples(tmp_path / path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.99])
def test_files_that_were_cut_off_are_named(tmp_path, save, part):
    save(tmp_path / "x.npz", arr_0=noise(200))
    np.save(tmp_path / "x.npy", noise(200))
    for path in (tmp_path / "x.npz", tmp_path / "x.npy"):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(RequestError, match=f"{path.name}: not a readable {path.suffix} file"):
            load_samples(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_changed_bytes_are_found_when_they_are_read(tmp_path, save):
    save(tmp_path / "x.npz", arr_0=noise(200))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RequestError, match=r"x\.npz: not a readable \.npz file"):
        load_samples(tmp_path / "x.npz")


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 64, 64, 3)}
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(100))
    with pytest.raises(RequestError, match=r"x\.npz: not a readable .*do not hold uint8"):
        open_samples(tmp_path / "x.npz")


def test_files_of_other_arrays_and_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", pixels=noise(), names=LABELS)
    with pytest.raises(RequestError, match=r"x\.npz: .*images or arr_0; found pixels, names"):
        open_samples(tmp_path / "x.npz")
    (tmp_path / "x.tar").touch()
    with pytest.raises(RequestError, match=r"mine: found \S+x\.tar, allowed: a sample store, a folder .*fidelity:NAME"):
        open_samples(tmp_path / "x.tar", "mine")
    with pytest.raises(RequestError, match=r"samples: found nothing at \S+absent, allowed"):
        open_samples(tmp_path / "absent")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RequestError, match=r"no images in \S+folder; looked for \.png, "):
        open_samples(tmp_path / "folder")


def test_damaged_images_and_images_of_two_sizes_are_named(tmp_path):
    mixed = pictures(tmp_path / "mixed", noise(2))
    Image.fromarray(noise(1, 9)[0]).save(mixed / "z.png")
    with pytest.raises(RequestError, match=r"000\.png is 8x8 and \S+z\.png is 9x9 .*one size"):
        open_samples(mixed)
    cut = pictures(tmp_path / "cut", noise(3))
    (cut / "001.png").write_bytes((cut / "001.png").read_bytes()[:100])
    with pytest.raises(RequestError, match=r"001\.png: not a readable image"):
        load_samples(cut)
    # What an image is decides its content: no program that draws is run because a file is called .png.
    (cut / "001.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(RequestError, match=r"001\.png: not a readable image"):
        open_samples(cut)


def test_shards_that_do_not_fit_are_named(tmp_path):
    images = noise(9)
    store = SampleStore.open(stored(tmp_path / "s", 4, images=images, wanted=LABELS[:9]))
    for arrays, why in [
        ({"images": images[:4]}, "holds images of .*allowed: images, wanted"),
        ({"images": images[:4, :4], "wanted": LABELS[:4]}, r"of \(4, 8, 3\), allowed: .*\(8, 8, 3\), as in 00000\.npz"),
        ({"images": images[:3], "wanted": LABELS[:3]}, "does not hold 4 images"),
        ({"images": images[:4], "wanted": LABELS[:3]}, "does not hold 4 images"),
        ({"images": images[:4] / 255, "wanted": LABELS[:4]}, "float64 from 0 to 1"),
    ]:
        store.write(1, arrays)
        with pytest.raises(RequestError, match=f"00001\\.npz.*{why}"):
            open_samples(tmp_path / "s")
    SampleStore.create(tmp_path / "none", 0, 4, {})
    with pytest.raises(RequestError, match=r"store\.json: a store of no images"):
        open_samples(tmp_path / "none")


def test_inputs_of_torch_fidelity_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def absent(root, download):
        raise RuntimeError("Dataset not found\nor corrupted")

    monkeypatch.setitem(registry.DATASETS_REGISTRY, "absent", absent)
    register(monkeypatch, "pairs", [(torch.zeros(3, 8, 8, dtype=torch.uint8), 1)])
    register(monkeypatch, "floats", torch.zeros(2, 3, 8, 8))
    register(monkeypatch, "none", [])
    for name, why in [
        ("unheard", "samples: found fidelity:unheard, allowed: .*absent, .*cifar10-train"),
        ("absent", f"fidelity:absent cannot be opened below {tmp_path}.*Dataset not found or corrupted"),
        ("pairs", "fidelity:pairs gives tuple, allowed: one uint8 tensor"),
        ("floats", r"fidelity:floats gives torch\.float32 \(3, 8, 8\), allowed: one uint8 tensor"),
        ("none", "fidelity:none has no images"),
    ]:
        with pytest.raises(RequestError, match=why) as caught:
            open_samples(f"fidelity:{name}")
        assert "\n" not in str(caught.value)
    register(monkeypatch, "mixed", [torch.zeros(3, side, side, dtype=torch.uint8) for side in (8, 8, 9)])
    with pytest.raises(RequestError, match=r"fidelity:mixed: image 2 is uint8 \(9, 9, 3\)"):
        open_samples("fidelity:mixed").first()


@pytest.mark.parametrize("form", [b"P3", b"P6"])
def test_portable_pixmaps_are_images_unless_they_have_more_than_eight_bits(tmp_path, form):
    values = b"7 " * 12 if form == b"P3" else bytes(range(12))
    (tmp_path / "a.ppm").write_bytes(form + b"\n2 2\n255\n" + values)
    assert open_samples(tmp_path).first().images.shape == (1, 2, 2, 3)
    (tmp_path / "a.ppm").write_bytes(form + b"\n2 2\n1023\n" + values + bytes(12))
    with pytest.raises(RequestError, match="has more than 8 bits a channel"):
        open_samples(tmp_path)
