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
    """Fetches a batch by one indexing of the tensor instead of image by image.

    What is cropped at random while it is decoded draws from (seed, epoch, first image of the batch): the same in
    whatever worker.
    """

    def __init__(self, images: ImageSet, order: SeededOrder) -> None:
        self.images, self.order = images, order

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([index])
        return images[0], labels[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        noise = generator(self.order.seed, "crop", self.order.epoch, indices[0])
        return self.images.augmented(indices, noise).float() / 255, self.images.labels[indices]


def _as_is(batch: Any) -> Any:
    return batch


class Batches(pl.LightningDataModule):
    """Training batches of a data set: images float (n, C, H, W) in [0, 1], labels (n,)."""

    def __init__(self, data: DataSet, batch_size: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.data, self.batch_size, self.seed, self.workers = data, batch_size, seed, workers

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        order = SeededOrder(len(self.data.train), self.seed)
        return DataLoader(
            _WholeBatches(self.data.train, order),
            batch_size=min(self.batch_size, len(self.data.train)),
            sampler=order,
            num_workers=self.workers,
            # Whatever the platform's default: workers share what the data set has open.
            multiprocessing_context="fork" if self.workers else None,
            collate_fn=_as_is,
            # A small last batch would make its batch-norm statistics noisy.
            drop_last=True,
        )
