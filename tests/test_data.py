"""The digits, their order and their augmentation."""

import torch
from torch.nn.functional import pad

from robsynth.data.augment import random_shift
from robsynth.data.batches import Batches, SeededOrder
from robsynth.data.images import ImageSet, interleave_classes
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
        ImageSet(kept.name, pixels, kept.labels, kept.label_names),
        ImageSet(kept.name, kept.images, labels, kept.label_names),
        ImageSet(kept.name, kept.images.flip(0), kept.labels, kept.label_names),
        ImageSet(kept.name, kept.images, kept.labels, kept.label_names[::-1]),
    ]
    assert len({kept.fingerprint, *(other.fingerprint for other in changed)}) == 5


def test_the_order_is_a_permutation_that_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        sampler = SeededOrder(20, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(0, 0)) == list(range(20))
    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_batches_are_whole_and_follow_the_order(few_digits):
    loader = Batches(few_digits, 16, seed=5).train_dataloader()
    loader.sampler.set_epoch(2)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [16, 16]
    sampler = SeededOrder(40, 5)
    sampler.set_epoch(2)
    images, labels = few_digits.train.take(list(sampler)[:16])
    assert torch.equal(batches[0][0], images)
    assert torch.equal(batches[0][1], labels)


def test_a_shift_is_a_padded_crop(digits):
    images, _ = digits.test.take(range(30))
    shifted = random_shift(images, 2, generator(0, "shift"))
    padded = pad(images, (2, 2, 2, 2))
    corners = torch.randint(0, 5, (2, 30), generator=generator(0, "shift"))
    for image, expected, top, left in zip(shifted, padded, *corners, strict=True):
        assert torch.equal(image, expected[:, top : top + 32, left : left + 32])
    assert torch.equal(random_shift(images, 0, generator(0)), images)
