"""Batches in an order that depends on (seed, epoch) only, as Lightning wants them."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from robsynth.data.images import DataSet, ImageSet
from robsynth.randomness import generator


class SeededOrder(Sampler[int]):
    """A new permutation each epoch, derived from (seed, epoch).

    Lightning calls `set_epoch`, also after a resume, and keeps no generator state of its own: so the order
    must not depend on one.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self.count, generator=generator(self.seed, "order", self.epoch)).tolist()


class _WholeBatches(Dataset[tuple[Tensor, Tensor]]):
    """Fetches a batch by one indexing of the tensor instead of image by image."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.images.take([index])
        return images[0], labels[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        return self.images.take(indices)


def _as_is(batch: Any) -> Any:
    return batch


class Batches(pl.LightningDataModule):
    """Training batches of a data set: images float (n, C, H, W) in [0, 1], labels (n,)."""

    def __init__(self, data: DataSet, batch_size: int, seed: int) -> None:
        super().__init__()
        self.data, self.batch_size, self.seed = data, batch_size, seed

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            _WholeBatches(self.data.train),
            batch_size=min(self.batch_size, len(self.data.train)),
            sampler=SeededOrder(len(self.data.train), self.seed),
            collate_fn=_as_is,
            # A small last batch would make its batch-norm statistics noisy.
            drop_last=True,
        )
