"""Every figure of a set of samples: as a set, as the judge sees it, and pair by pair."""

from collections.abc import Iterable

import numpy as np

from robsynth import processes
from robsynth.config import Metrics
from robsynth.data import DataSet
from robsynth.errors import RequestError
from robsynth.machine import Machine
from robsynth.metrics.compared import compared
from robsynth.metrics.exported import Exported
from robsynth.metrics.extractors import JudgeExtractor
from robsynth.metrics.measures import Sets
from robsynth.metrics.protocols import JUDGE, SPLITS, Measurement, parse
from robsynth.metrics.sets import SetMeasures
from robsynth.progress import say
from robsynth.records.figures import Figure
from robsynth.samples import Samples, inspection
from robsynth.samples.source import ranges


class Evaluation:
    """Measures samples against one reference; the judge is a standard classifier that took no part in making them.

    Its methods are to be called by every process of a run: they share the features, and rank 0 computes the figures.
    """

    def __init__(
        self, settings: Metrics, machine: Machine, reference: DataSet | Exported, judge: JudgeExtractor | None = None
    ) -> None:
        self.settings, self.machine = settings, machine
        self.sets = SetMeasures(settings, machine, reference, judge)
        self.asked = _parsed(settings, machine)
        # Of its data set's classes: statistics have none.
        self.judged = _judged(self.asked) if judge is not None and self.sets.data is not None else []
        self.warnings: list[str] = []

    def prepare(self, count: int) -> None:
        """The features of all references that sets of `count` samples need."""
        for asked in _all(self.asked, self.judged):
            for features in self.sets.references(asked, count).values():
                features.compute_share()
        processes.barrier()

    def measure(self, subject: str, samples: Samples) -> list[Figure]:
        """All that can be measured of these samples, and why the rest cannot."""
        return self._figures(_all(self.asked, self.judged), subject, samples, pairs=True)

    def beside(self, subject: str, samples: Samples) -> list[Figure]:
        """What a task's result is set beside, its input or a classical method: the judge's word, and the pairs."""
        return self._figures(self.judged, subject, samples, pairs=True)

    def at(self, setting: dict[str, float], subject: str, samples: Samples) -> list[Figure]:
        """A point of a curve: FID and the judge's word, of samples made with this setting."""
        asked = [asked for asked in self.asked if asked.kind == "fid"]
        return self._figures(_all(asked, self.judged), subject, samples, at=setting)

    def _figures(
        self, asked: list[Measurement], subject: str, samples: Samples, pairs: bool = False,
        at: dict[str, float] | None = None,
    ) -> list[Figure]:  # fmt: skip
        for warning in samples.inspection.warnings:
            self.warnings.append(f"{subject}: {warning}")
            say(f"warning: {subject}: {warning}")
        opened = self._opened(asked, subject, samples)
        for _, sets in opened:
            sets.samples.compute_share()
        processes.barrier()

        def work() -> list[Figure]:
            found = [figure for one, sets in opened for figure in self.sets.measure(one, sets, subject, at)]
            return found + (compared(subject, samples, self.machine.device, self.settings.resamples) if pairs else [])

        return processes.once(work)

    def refuse(self, subject: str, samples: Samples) -> None:
        """A RequestError for samples that `measure` would refuse, before anything is computed."""
        self._opened(_all(self.asked, self.judged), subject, samples)

    def _opened(self, asked: list[Measurement], subject: str, samples: Samples) -> list[tuple[Measurement, Sets]]:
        data = self.sets.data
        if data is not None:
            channels, *size = data.shape
            if samples.shape != (*size, channels):
                raise RequestError(
                    f"samples: images are {samples.shape} (height, width, channels), "
                    f"allowed: {(*size, channels)}, as in {data.name}"
                )
            _check_labels(samples.wanted, data)
        return [self.sets.opened(one, subject, samples) for one in asked]


def images_through(settings: Metrics, machine: Machine, count: int, judged: bool) -> dict[str, int]:
    """How many images go through each extractor, by its name, when `count` samples are measured."""
    asked = _planned(settings, machine, judged)
    return _through((one, "samples", count, one.count or count) for one in asked)


def reference_through(
    settings: Metrics, machine: Machine, count: int, train: int, test: int, judged: bool
) -> dict[str, int]:
    """The same for `prepare`, where a data set has so many `train` and `test` images."""
    sizes = {"train": train, "test": test}
    return _through(
        (asked, split, number, number)
        for asked in _planned(settings, machine, judged)
        for split, number in asked.references(count, sizes).items()
    )


def _through(parts: Iterable[tuple[Measurement, str, int, int]]) -> dict[str, int]:
    """The images of all chunks; a chunk is computed once, whoever asks for it.

    Each part is a measurement, whose images it looks at, how many those are, and of how many it needs features.
    """
    chunks = {
        (asked.extractor, asked.precision, images, rows)
        for asked, images, count, wanted in parts
        for rows in ranges(count, inspection.CHUNK)
        if rows.start < wanted
    }
    found: dict[str, int] = {}
    for extractor, *_, rows in chunks:
        found[extractor] = found.get(extractor, 0) + len(rows)
    return found


def _parsed(settings: Metrics, machine: Machine) -> list[Measurement]:
    return [parse(name, machine.precision) for name in settings.protocols]


def _planned(settings: Metrics, machine: Machine, judged: bool) -> list[Measurement]:
    asked = _parsed(settings, machine)
    return _all(asked, _judged(asked) if judged else [])


def _judged(asked: list[Measurement]) -> list[Measurement]:
    """The judge's score, in as many splits as the other one, and the share of images that it gives to their class."""
    splits = next((one.splits for one in asked if one.kind == "is"), SPLITS)
    return [Measurement("is", splits=splits, extractor=JUDGE), Measurement("judge_share", extractor=JUDGE)]


def _all(asked: list[Measurement], judged: list[Measurement]) -> list[Measurement]:
    """Each once, whoever asks for it."""
    return list(dict.fromkeys([*asked, *judged]))


def _check_labels(wanted: np.ndarray | None, data: DataSet) -> None:
    most = len(data.label_names) - 1
    if wanted is not None and (wanted.min() < 0 or wanted.max() > most):
        raise RequestError(
            f"samples: labels from {wanted.min()} to {wanted.max()}, allowed: 0 to {most}, the classes of {data.name}"
        )
