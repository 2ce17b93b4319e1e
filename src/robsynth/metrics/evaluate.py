"""Every figure of a set of samples: as a set, as the judge sees it, and pair by pair."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from robsynth import processes
from robsynth.config import Metrics
from robsynth.data import DataSet
from robsynth.errors import RequestError
from robsynth.metrics import features
from robsynth.metrics.compared import compared
from robsynth.metrics.exported import Exported
from robsynth.metrics.extractors import JudgeExtractor
from robsynth.metrics.measures import by_class
from robsynth.metrics.protocols import SEED, SPLITS, Measurement
from robsynth.metrics.sets import SetMeasures
from robsynth.metrics.uncertainty import bootstrap_interval
from robsynth.progress import say
from robsynth.records.figures import Figure, Protocol
from robsynth.samples import Inspection, Samples, inspect


class Evaluation:
    """Measures samples against one reference; the judge is a standard classifier that took no part in making them."""

    def __init__(
        self, settings: Metrics, device: torch.device, precision: str, data: DataSet | None = None,
        exported: Exported | None = None, judge: JudgeExtractor | None = None,
    ) -> None:  # fmt: skip
        self.settings, self.data, self.judge = settings, data, judge
        self.sets = SetMeasures(settings, data, exported, judge, device, precision)
        self.warnings: list[str] = []

    def measure(self, subject: str, samples: Samples) -> list[Figure]:
        """All that can be measured of these samples, and why the rest cannot."""

        def figures(looked_at: Inspection) -> list[Figure]:
            sets = [
                figure for asked in self.sets.asked for figure in self.sets.measure(asked, subject, samples, looked_at)
            ]
            return [*sets, *self._judged(subject, samples, looked_at), *self._compared(subject, samples, looked_at)]

        return self._together(subject, samples, self.sets.asked, figures)

    def beside(self, subject: str, samples: Samples) -> list[Figure]:
        """What a task's result is set beside, its input or a classical method: the judge's word, and the pairs."""

        def figures(looked_at: Inspection) -> list[Figure]:
            return [*self._judged(subject, samples, looked_at), *self._compared(subject, samples, looked_at)]

        return self._together(subject, samples, [], figures)

    def at(self, setting: dict[str, float], subject: str, samples: Samples) -> list[Figure]:
        """A point of a curve: FID and the judge's word, of samples made with this setting."""
        asked = [asked for asked in self.sets.asked if asked.kind == "fid"]

        def figures(looked_at: Inspection) -> list[Figure]:
            found = [figure for one in asked for figure in self.sets.measure(one, subject, samples, looked_at)]
            return [replace(figure, at=setting) for figure in [*found, *self._judged(subject, samples, looked_at)]]

        return self._together(subject, samples, asked, figures)

    def _together(
        self, subject: str, samples: Samples, asked: list[Measurement], figures: Callable[[Inspection], list[Figure]]
    ) -> list[Figure]:
        """Figures that rank 0 computes, from features that all processes did; to be called by every process."""
        looked_at = self.inspect(subject, samples)
        if processes.count() > 1:
            judge = self._judge_asked
            for one in [*asked, *([judge] if judge else [])]:
                self.sets.compute_share(one, samples, looked_at)
            processes.barrier()
        return processes.once(lambda: figures(looked_at))

    def inspect(self, subject: str, samples: Samples) -> Inspection:
        """Looks at every pixel once; what is odd about the samples is said and kept."""
        if self.data is not None:
            channels, *size = self.data.shape
            if samples.shape != (*size, channels):
                raise RequestError(
                    f"samples: images are {samples.shape} (height, width, channels), "
                    f"allowed: {(*size, channels)}, as in {self.data.name}"
                )
            _check_labels(samples.wanted, self.data)
        found = inspect(samples, features.CHUNK)
        for warning in found.warnings:
            self.warnings.append(f"{subject}: {warning}")
            say(f"warning: {subject}: {warning}")
        return found

    def _compared(self, subject: str, samples: Samples, looked_at: Inspection) -> list[Figure]:
        return compared(subject, samples, looked_at, self.settings.resamples)

    @property
    def _judge_asked(self) -> Measurement | None:
        if self.judge is None or self.data is None:
            return None
        splits = [asked.splits for asked in self.sets.asked if asked.kind == "is"]
        return Measurement("is", splits=splits[0] if splits else SPLITS, extractor=self.judge.name)

    def _judged(self, subject: str, samples: Samples, looked_at: Inspection) -> list[Figure]:
        """The judge's score, and the share of images that it gives to the wanted class."""
        asked = self._judge_asked
        if asked is None:
            return []
        names = {"is": "judge_score", "is_share": "judge_score_share"}
        figures = [
            replace(figure, metric=names[figure.metric])
            for figure in self.sets.measure(asked, subject, samples, looked_at)
        ]
        wanted = samples.wanted
        if wanted is None:
            return figures
        assert self.judge is not None
        assert self.data is not None
        right = self.sets.features(asked, samples, looked_at).all("logits").argmax(1) == wanted
        details = {**self.judge.describe(), "images": len(samples)}
        share = Figure(
            subject, "judge_share", float(right.mean()),
            Protocol(f"judge_share{len(samples)}-{self.judge.digest}", details), len(samples),
            interval=bootstrap_interval(right.astype(np.float64), self.settings.resamples, SEED)
            if self.settings.resamples else None,
            per_class=_shares_by_class(right, wanted, self.data.label_names),
        )  # fmt: skip
        return [*figures, share]


def _check_labels(wanted: np.ndarray | None, data: DataSet) -> None:
    most = len(data.label_names) - 1
    if wanted is not None and (wanted.min() < 0 or wanted.max() > most):
        raise RequestError(
            f"samples: labels from {wanted.min()} to {wanted.max()}, allowed: 0 to {most}, the classes of {data.name}"
        )


def _shares_by_class(right: np.ndarray, wanted: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    present = np.unique(wanted)
    return by_class(np.array([right[wanted == label].mean() for label in present]), tuple(names[i] for i in present))
