"""A labelled set of small images, and what is known about where it came from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Images in memory, as uint8 (N, C, H, W) with labels (N,) and the names of the classes.

    `name` says data set and split, e.g. "mnist5k/train".
    """

    name: str
    images: Tensor
    labels: Tensor
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of pixels, labels, order and names."""
        content = hashlib.sha256(repr((tuple(self.images.shape), self.label_names)).encode())
        content.update(self.images.contiguous().numpy().data)
        content.update(self.labels.to(torch.int64).contiguous().numpy().data)
        return content.hexdigest()[:16]

    def take(self, indices: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images as float (n, C, H, W) in [0, 1], and their labels (n,), int64."""
        chosen = torch.as_tensor(indices)
        return self.images[chosen].float() / 255, self.labels[chosen]

    def of_class(self, label: int) -> Tensor:
        """The images of one class, uint8 (n, C, H, W)."""
        return self.images[self.labels == label]

    def head(self, count: int) -> "ImageSet":
        """The first `count` images."""
        return ImageSet(f"{self.name}[:{count}]", self.images[:count], self.labels[:count], self.label_names)


@dataclass(frozen=True)
class DataSet:
    """A train and a held-out set of the same classes and size."""

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
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

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
