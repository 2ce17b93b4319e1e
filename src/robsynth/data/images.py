"""Labelled sets of images, and what is known about where they came from."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# How many images are worked on at a time, and at most how many pixels, so that memory does not grow with their size.
CHUNK, CHUNK_PIXELS = 250, 2**20


class ImageSet(ABC):
    """Images of one size with labels (N,) int64 and the names of the classes, wherever the pixels are.

    `name` says data set and split, e.g. "cifar10/train". Whoever needs many images asks for them a batch at a
    time, so that a set may be larger than memory.
    """

    name: str
    labels: Tensor
    label_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W) of every image."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A digest that changes with the content."""

    @abstractmethod
    def pixels(self, indices: Tensor | Sequence[int]) -> Tensor:
        """The images with these numbers, uint8 (n, C, H, W)."""

    @abstractmethod
    def subset(self, indices: Tensor, name: str) -> "ImageSet":
        """The images with these numbers as a set of its own, in this order."""

    def augmented(self, indices: Sequence[int], noise: Callable[[int], torch.Generator]) -> Tensor:
        """`pixels` as they come before a batch is augmented: files may be cropped at random as they are decoded.

        ``noise(i)`` is the generator of image i.
        """
        return self.pixels(indices)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images as float (n, C, H, W) in [0, 1], and their labels (n,)."""
        return self.pixels(indices).float() / 255, self.labels[torch.as_tensor(indices, dtype=torch.int64)]

    def of_class(self, label: int) -> Tensor:
        """The numbers of the images of one class (n,)."""
        return (self.labels == label).nonzero()[:, 0]

    def chunks(self, indices: Tensor | None = None, size: int = 1000) -> Iterator[Tensor]:
        """All images, or those with these numbers, a bounded number of images and pixels at a time: (n, C, H, W)."""
        for part in (torch.arange(len(self)) if indices is None else indices).split(bounded(size, self.shape)):
            yield self.pixels(part)

    def head(self, count: int) -> "ImageSet":
        """The first `count` images."""
        return self.subset(torch.arange(min(count, len(self))), f"{self.name}[:{count}]")


class MemoryImages(ImageSet):
    """Images that fit: one tensor, uint8 (N, C, H, W)."""

    def __init__(self, name: str, images: Tensor, labels: Tensor, label_names: Sequence[str]) -> None:
        self.name, self.images = name, images
        self.labels, self.label_names = labels.to(torch.int64), tuple(label_names)
        self.shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of pixels, labels, order and names."""
        content = hashlib.sha256(repr((tuple(self.images.shape), self.label_names)).encode())
        content.update(self.images.contiguous().numpy().data)
        content.update(self.labels.contiguous().numpy().data)
        return content.hexdigest()[:16]

    def pixels(self, indices: Tensor | Sequence[int]) -> Tensor:
        return self.images[torch.as_tensor(indices, dtype=torch.int64)]

    def subset(self, indices: Tensor, name: str) -> "MemoryImages":
        return MemoryImages(name, self.images[indices], self.labels[indices], self.label_names)


class StreamedImages(ImageSet):
    """Images that are decoded when they are asked for, so that memory does not grow with their number.

    `decode(i)` gives image i as uint8 (C, H, W); `decode_crop(i, generator)` a random part of it, scaled to the
    same size, for training. `fingerprint` is the digest of what the source lists, not of 150 GB of pixels.
    """

    def __init__(
        self,
        name: str,
        labels: Tensor,
        label_names: Sequence[str],
        shape: tuple[int, int, int],
        fingerprint: str,
        decode: Callable[[int], Tensor],
        decode_crop: Callable[[int, torch.Generator], Tensor],
    ) -> None:
        self.name, self.labels, self.label_names = name, labels.to(torch.int64), tuple(label_names)
        self.shape, self._fingerprint = shape, fingerprint
        self._decode, self._decode_crop = decode, decode_crop

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def pixels(self, indices: Tensor | Sequence[int]) -> Tensor:
        return _in_threads(self._decode, indices)

    def augmented(self, indices: Sequence[int], noise: Callable[[int], torch.Generator]) -> Tensor:
        return _in_threads(lambda i: self._decode_crop(i, noise(i)), indices)

    def subset(self, indices: Tensor, name: str) -> "StreamedImages":
        rows = indices.tolist()
        digest = hashlib.sha256(f"{self.fingerprint} {rows}".encode()).hexdigest()[:16]
        return StreamedImages(
            name, self.labels[indices], self.label_names, self.shape, digest,
            lambda i: self._decode(rows[i]), lambda i, generator: self._decode_crop(rows[i], generator),
        )  # fmt: skip


def _in_threads(decode: Callable[[int], Tensor], indices: Tensor | Sequence[int]) -> Tensor:
    """What `decode` gives for each, in their order; decoders of images leave other threads to compute meanwhile."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return torch.stack(list(threads.map(decode, map(int, indices))))


def chunks_of(images: ImageSet) -> list[Tensor]:
    """The numbers of all images, as many at a time as depends on their size alone."""
    return list(torch.arange(len(images)).split(bounded(CHUNK, images.shape)))


def bounded(count: int, shape: tuple[int, int, int]) -> int:
    """`count` images, or fewer of so many pixels."""
    return max(1, min(count, CHUNK_PIXELS // (shape[1] * shape[2])))


@dataclass(frozen=True)
class DataSet:
    """A train and a test set of the same classes and size."""

    name: str
    train: ImageSet
    test: ImageSet
    source: str

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.train.label_names

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        return self.train.shape

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256((self.train.fingerprint + self.test.fingerprint).encode()).hexdigest()[:16]


def interleave_classes(labels: Tensor, seed_order: Tensor) -> Tensor:
    """Indices in an order that takes one image of each class in turn, so that any prefix is balanced.

    `seed_order` is a permutation of the indices that fixes the order within each class.
    """
    rank = torch.empty_like(labels)
    for label in labels.unique():
        members = seed_order[labels[seed_order] == label]
        rank[members] = torch.arange(len(members))
    return torch.argsort(rank * (int(labels.max()) + 1) + labels)
