"""Crop and flip of CIFAR-size images: a batch at a time as here, against torchvision's transforms image by image.

    python experiments/benchmarks/augmentation.py

writes results/benchmarks/augmentation.json, and augmentation.md from it.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from robsynth.config import Augmentation
from robsynth.data import MemoryImages
from robsynth.data.augment import augment
from robsynth.data.batches import Batches
from robsynth.files import write_json, write_text
from robsynth.machine import CPU, Machine
from robsynth.progress import say
from robsynth.randomness import generator
from robsynth.records.provenance import git_commit, machine, versions

OUT = Path(__file__).parents[2] / "results" / "benchmarks"
CORES = 2
CROP_AND_FLIP = Augmentation(shift=4, flip=True)
RIVAL = "torchvision v2, image by image, DataLoader with 2 workers"
LOADER = "batched, as training reads it"
FUNCTION = "batched, the function alone"


class ImageByImage(Dataset[tuple[Tensor, int]]):
    """What torchvision's own CIFAR10 data set does, short of making Pillow images."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels.tolist()
        self.transform = v2.Compose(
            [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.images[i]), self.labels[i]


def ways(images: MemoryImages, batch_size: int) -> dict[str, Callable[[], Iterator[Tensor]]]:
    """What is compared: each gives one epoch's batches, float (n, 3, 32, 32) in [0, 1]."""
    rival = DataLoader(
        ImageByImage(images.images, images.labels), batch_size, shuffle=True, num_workers=2, drop_last=True
    )
    loader = Batches(images, batch_size, seed=0).train_dataloader()
    batches = [part.float() / 255 for part in images.images.split(batch_size) if len(part) == batch_size]

    def as_training() -> Iterator[Tensor]:
        for i, (batch, _) in enumerate(loader):
            yield augment(batch, CROP_AND_FLIP, generator(0, "train", 0, i))

    def function_alone() -> Iterator[Tensor]:
        noise = generator(0, "train")
        return (augment(batch, CROP_AND_FLIP, noise) for batch in batches)

    return {RIVAL: lambda: (batch for batch, _ in rival), LOADER: as_training, FUNCTION: function_alone}


def images_per_second(epoch: Callable[[], Iterator[Tensor]], repeats: int) -> list[float]:
    """Of each of `repeats` whole epochs, after one that is not counted."""
    rates = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        count = sum(len(batch) for batch in epoch())
        rates.append(count / (time.perf_counter() - start))
    return rates[1:]


def measure(count: int, repeats: int, batch_sizes: tuple[int, ...]) -> dict[str, Any]:
    """The record: rates of every way and batch size, and where they were measured."""
    noise = generator(0, "pixels")
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=noise, dtype=torch.uint8)
    images = MemoryImages("random", pixels, torch.arange(count) % 10, [str(digit) for digit in range(10)])
    rows = []
    for batch_size in batch_sizes:
        for way, epoch in ways(images, batch_size).items():
            say(f"batch {batch_size}: {way}")
            rates = images_per_second(epoch, repeats)
            rows.append({"batch_size": batch_size, "way": way, "images_per_second": [round(rate) for rate in rates]})
    return {
        "benchmark": "augmentation", "images": count, "commit": git_commit(), "versions": versions(),
        "machine": machine(Machine(CPU)), "rows": rows,
    }  # fmt: skip


def render(record: dict[str, Any]) -> str:
    """The record as a Markdown table: medians, and ratios to the rival at the same batch size."""
    medians = {(row["batch_size"], row["way"]): statistics.median(row["images_per_second"]) for row in record["rows"]}
    where = record["machine"]
    repeats = len(record["rows"][0]["images_per_second"])
    lines = [
        f"Random crop (32 of 40 pixels) and flip of {record['images']:,} images of 3x32x32, uint8 to float, "
        f"on {where['threads']} threads of {where['processor']}, torch {record['versions']['torch']}: images per "
        f"second, median of {repeats} epoch{'s' * (repeats > 1)} after one that is not counted.",
        "",
        "| batch | way | images/s | ratio |",
        "|---:|---|---:|---:|",
    ]
    for (batch_size, way), rate in medians.items():
        lines.append(f"| {batch_size} | {way} | {rate:,.0f} | {rate / medians[batch_size, RIVAL]:.1f} |")
    return "\n".join(lines) + "\n"


def main(out: Path = OUT, count: int = 50_000, repeats: int = 3, batch_sizes: tuple[int, ...] = (128, 512)) -> None:
    record = measure(count, repeats, batch_sizes)
    write_json(out / "augmentation.json", record)
    write_text(out / "augmentation.md", render(record))
    print(json.dumps(record["rows"]))
    say(render(record))


if __name__ == "__main__":
    torch.set_num_threads(CORES)
    main()
