"""Batches in an order that depends on (seed, epoch) only, as Lightning wants them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from robsynth import processes
from robsynth.data.images import ImageSet
from robsynth.errors import RequestError
from robsynth.randomness import Share, generator


@dataclass(frozen=True)
class Portion:
    """The rows of every batch that are this process's: those from `first` up to `last` of `total`."""

    total: int
    first: int
    last: int

    @classmethod
    def of(cls, total: int, rank: int, count: int) -> "Portion":
        """Process `rank` of `count`'s rows; portions differ by one row at most."""
        return cls(total, total * rank // count, total * (rank + 1) // count)

    def share(self, source: torch.Generator) -> Share:
        """A generator of the whole batch, for these rows."""
        return Share(source, self.total, self.first)


class SeededBatches(Sampler[list[int]]):
    """A new permutation each epoch, derived from (seed, epoch), in whole batches, each `replays` times in a row.

    Lightning calls `set_epoch`, also after a resume, and keeps no generator state of its own: so the order must not
    depend on one. `skip` is how many batches of the next epoch to be read were read before: they are left out once.
    """

    def __init__(self, images: int, portion: Portion, batches: int, seed: int, replays: int = 1) -> None:
        self.images, self.portion, self.batches, self.seed, self.replays = images, portion, batches, seed, replays
        self.epoch, self.skip = 0, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches * self.replays

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self.images, generator=generator(self.seed, "order", self.epoch))
        begin, self.skip = self.skip, 0
        for number in range(begin, len(self)):
            start = number // self.replays * self.portion.total
            yield order[start + self.portion.first : start + self.portion.last].tolist()


class _WholeBatches(Dataset[tuple[Tensor, Tensor]]):
    """Maps the numbers of a batch's images to the batch, by one indexing of the tensor instead of image by image.

    What is cropped at random while it is decoded draws from (seed, epoch, image): the same in whatever worker.
    """

    def __init__(self, images: ImageSet, order: SeededBatches) -> None:
        self.images, self.order = images, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, numbers: list[int]) -> tuple[Tensor, Tensor]:
        images = self.images.augmented(numbers, lambda i: generator(self.order.seed, "crop", self.order.epoch, i))
        return images.float() / 255, self.images.labels[numbers]


class Batches(pl.LightningDataModule):
    """Training batches: this process's rows of each, images float (n, C, H, W) in [0, 1] and labels (n,).

    `batch_size` counts the images of all processes that one step of the optimiser sees; the step sees them in
    `parts`, and every batch comes `replays` times in a row. A training that stopped within an epoch goes on at the
    batch where it stopped.
    """

    def __init__(
        self, images: ImageSet, batch_size: int, seed: int, workers: int = 0, parts: int = 1, replays: int = 1
    ) -> None:
        super().__init__()
        self.images, self.seed, self.workers, self.parts, self.replays = images, seed, workers, parts, replays
        whole = min(batch_size, len(images))
        rank, count = processes.rank(), processes.count()
        if whole // parts < count:
            raise RequestError(
                f"recipe.batch_size: found {whole} images in {parts} parts for {count} processes; allowed: one or more "
                "images a part and process"
            )
        self.portion = Portion.of(whole // parts, rank, count)
        # A small last batch would make its batch-norm statistics noisy: it is left out.
        self.count = len(images) // whole * parts
        self.read = 0

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        order = SeededBatches(len(self.images), self.portion, self.count, self.seed, self.replays)
        if self.trainer is not None:
            order.set_epoch(self.trainer.current_epoch)
        order.skip, self.read = self.read, 0
        return DataLoader(
            _WholeBatches(self.images, order),
            # The sampler's items are batches already.
            sampler=order,
            batch_size=None,
            num_workers=self.workers,
            # Whatever the platform's default: workers share what the data set has open.
            multiprocessing_context="fork" if self.workers else None,
        )

    def state_dict(self) -> dict[str, Any]:
        assert self.trainer is not None
        done: int = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return {"read": 0 if done == len(self) else done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.read = state_dict["read"]

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.count * self.replays
