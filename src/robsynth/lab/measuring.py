"""Stages that measure images: a task's, what they are set beside, and along a curve."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robsynth.classifiers import load_classifier
from robsynth.config import Config, Inpainting, Metrics, SuperResolution, Task
from robsynth.data import DataSet, ImageSet
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.synthesis import Studio
from robsynth.metrics.classical import bicubic, biharmonic
from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.exported import Exported
from robsynth.metrics.extractors import JudgeExtractor
from robsynth.records.figures import Figure
from robsynth.samples import Samples, SampleSet, WithImages

SEEDS = "Gaussian seeds"
Method = Callable[[SampleSet], np.ndarray]


def open_evaluation(
    settings: Metrics, device: torch.device, precision: str, data: DataSet | None, exported: Exported | None = None,
    judge: Path | None = None,
) -> Evaluation:  # fmt: skip
    """An evaluation against a data set or its statistics, with the judge in a checkpoint."""
    if judge is not None and data is None:
        raise RequestError("judge: it needs the data set whose classes it knows; allowed: reference=NAME")
    seen = None if judge is None else open_judge(judge, data, device)
    return Evaluation(settings, device, precision, data, exported, seen)


def open_judge(path: Path, data: DataSet | None, device: torch.device) -> JudgeExtractor:
    """The classifier of a checkpoint as a judge of images of this data set."""
    network, about = load_classifier(path, "judge")
    if data is not None and tuple(about["label_names"]) != data.label_names:
        raise RequestError(f"judge: {path} knows other classes than {data.name}")
    return JudgeExtractor(network.to(device), file_sha1(path)[:12])


def task_figures(evaluation: Evaluation, task: str, samples: Samples, settings: Task) -> list[Figure]:
    """What a task made, beside what it was given and what anyone would try first."""
    figures = evaluation.measure(task, samples)
    if task == "generation":
        return figures + evaluation.measure(SEEDS, WithImages(samples, SEEDS, _start))
    for name, method in _beside(settings):
        subject = f"{task}: {name}"
        figures += evaluation.beside(subject, WithImages(samples, subject, method))
    return figures


class DataSamples(Samples):
    """The first images of a data set, looked at as samples are."""

    def __init__(self, name: str, images: ImageSet, most: int) -> None:
        channels, height, width = images.shape
        self.name, self.shape, self.warnings = name, (height, width, channels), []
        self.has = frozenset({"images", "wanted"})
        self._images, self._count = images, min(most, len(images))

    def __len__(self) -> int:
        return self._count

    @property
    def wanted(self) -> np.ndarray:
        return self._images.labels[: self._count].numpy()

    def chunks(self, size: int = 500, most: int | None = None) -> Iterator[SampleSet]:
        count = min(self._count, self._count if most is None else most)
        for first in range(0, count, size):
            rows = range(first, min(first + size, count))
            pixels = self._images.pixels(rows).permute(0, 2, 3, 1).contiguous().numpy()
            yield SampleSet(pixels, self.wanted[rows[0] : rows[-1] + 1])


def _beside(settings: Task) -> Iterator[tuple[str, Method]]:
    if isinstance(settings, Inpainting):
        # The hole of what inpainting is given was filled with the image's mean.
        yield "mean fill", _start
        yield "biharmonic", lambda rows: biharmonic(_start(rows), _mask(rows))
        return
    yield "untouched input", _start
    if isinstance(settings, SuperResolution):
        yield "bicubic", lambda rows: bicubic(_start(rows), settings.factor)


def _start(rows: SampleSet) -> np.ndarray:
    assert rows.start is not None
    return rows.start


def _mask(rows: SampleSet) -> np.ndarray:
    assert rows.mask is not None
    return rows.mask


def curve_points(config: Config) -> list[dict[str, Any]]:
    """The settings at which generation is measured besides its own."""
    if "generation" not in config.select:
        return []
    return [*({"steps": steps} for steps in config.curves.steps), *({"eps": eps} for eps in config.curves.eps)]


def studio_at(studio: Studio, point: dict[str, Any]) -> Studio:
    """The same classifier with another setting of generation, and as many images as a curve's points have."""
    config = studio.config
    generation = replace(config.tasks["generation"], **point)
    other = replace(
        config,
        tasks={**config.tasks, "generation": generation},
        samples=replace(config.samples, count=config.curves.count),
    )
    return replace(studio, config=other)


def as_result(figures: list[Figure], warnings: list[str] | None = None) -> dict[str, Any]:
    """Figures as a stage keeps them."""
    return {
        "figures": [figure.as_dict() for figure in figures],
        "protocols": {figure.protocol.name: figure.protocol.details for figure in figures},
        "warnings": warnings or [],
    }
