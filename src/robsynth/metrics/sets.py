"""From what a protocol's name asks for to its figures, none of them computed twice."""

from typing import Any

from robsynth import __version__
from robsynth.config import Metrics
from robsynth.data import DataSet, ImageSet
from robsynth.errors import RequestError
from robsynth.machine import Machine
from robsynth.metrics.cache import values_once
from robsynth.metrics.exported import Exported
from robsynth.metrics.extractors import KNOWN, Extractor, JudgeExtractor, open_extractor
from robsynth.metrics.features import DataSource, Features, SampleSource
from robsynth.metrics.measures import Sets
from robsynth.metrics.protocols import MEASURES, Found, Measurement
from robsynth.records.figures import Figure, Protocol
from robsynth.samples import Samples


class SetMeasures:
    """Measures samples against a data set, or against statistics that were exported from one."""

    def __init__(
        self, settings: Metrics, machine: Machine, reference: DataSet | Exported, judge: JudgeExtractor | None = None
    ) -> None:
        self.settings, self.machine, self.judge = settings, machine, judge
        self.data = reference if isinstance(reference, DataSet) else None
        self.exported = reference if isinstance(reference, Exported) else None
        self._opened: dict[tuple[str, str], Extractor] = {}
        self._sources: dict[tuple[str, int], DataSource] = {}

    def extractor(self, asked: Measurement) -> Extractor:
        """The extractor of a measurement, opened once."""
        key = (asked.extractor, asked.precision)
        if key not in self._opened:
            weights = self.settings.inception_weights
            self._opened[key] = open_extractor(*key, self.machine.device, inception_weights=weights, judge=self.judge)
        return self._opened[key]

    def features(self, asked: Measurement, samples: Samples) -> Features:
        """Of the samples that a measurement looks at: the first, where it asks for fewer than there are."""
        count = asked.count or len(samples)
        if count > len(samples):
            raise RequestError(f"samples: found {len(samples)} images, but {asked.name()} needs {count}")
        return Features(SampleSource(samples), self.extractor(asked), count)

    def references(self, asked: Measurement, count: int) -> dict[str, Features]:
        """Features of the real images that a measurement of `count` samples looks at, by split.

        Raises
        ------
        RequestError
            If there are fewer than it needs, or if it needs images and there are statistics only.
        """
        if self.data is None:
            if asked.compares and asked.kind != "fid":
                raise RequestError(f"metrics.protocols: {asked.name()} needs a data set; statistics allow fid and is")
            return {}
        sizes = {name: len(self.split(name)) for name in ("train", "test")}
        return {name: self._of_data(asked, name, number) for name, number in asked.references(count, sizes).items()}

    def _of_data(self, asked: Measurement, name: str, count: int) -> Features:
        split = self.split(name)
        if count > len(split):
            raise RequestError(f"reference: {split.name} has {len(split)} images, but {asked.name()} needs {count}")
        source = self._sources.get((name, count)) or DataSource(split, count)
        self._sources[name, count] = source
        return Features(source, self.extractor(asked), count)

    def split(self, name: str) -> ImageSet:
        """The train or the test images of the data set."""
        assert self.data is not None
        return self.data.train if name == "train" else self.data.test

    def opened(self, asked: Measurement, subject: str, samples: Samples) -> tuple[Measurement, Sets]:
        """A measurement with the numbers of images that there are, and these; nothing is computed yet.

        Raises
        ------
        RequestError
            If there are fewer images than it needs, here or in the reference, or if it needs a reference's images
            and there are statistics only.
        """
        ours, kind = self.features(asked, samples), MEASURES[asked.kind]
        real = self.references(asked, ours.count)
        reference = real.get(asked.split) if kind.against != "none" else None
        labels, number = None, None
        if reference is not None:
            split = self.split(asked.split)
            labels = split.labels[: reference.count].numpy()
            number = None if reference.count == len(split) else reference.count
        asked = asked.of(ours.count, number)
        _check_subsets(asked, subject, ours, reference)
        compared = self.exported if asked.kind == "fid" else None
        return asked, Sets(
            samples=ours,
            reference=reference,
            test=real.get("test") if kind.test else None,
            labels=None if samples.wanted is None else samples.wanted[: ours.count],
            reference_labels=labels,
            label_names=self.data.label_names if self.data else (),
            statistics=compared.fitting(ours.extractor) if compared else None,
            resamples=self.settings.resamples,
        )

    def measure(self, asked: Measurement, sets: Sets, subject: str, at: dict[str, float] | None = None) -> list[Figure]:
        """The figures of one measurement that was opened, as points of a curve where `at` is given."""
        protocol, measure = self._protocol(asked, sets), MEASURES[asked.kind].measure
        found: Found = values_once("figures", _content(protocol, sets), lambda: measure(asked, sets))
        return [
            Figure(subject, metric, protocol=protocol, count=sets.samples.count, at=at, **values)
            for metric, values in found.items()
        ]

    def _protocol(self, asked: Measurement, sets: Sets) -> Protocol:
        kind, extractor = MEASURES[asked.kind], sets.samples.extractor
        parts = [asked.name()]
        if asked.compares and self.data is not None:
            parts.append(self.data.name)
        elif asked.compares and self.exported is not None:
            parts.append(self.exported.name)
        if extractor.name not in KNOWN:
            parts.append(extractor.digest)
        if kind.code:
            parts.append(kind.code)
        about: dict[str, Any] = {**extractor.describe(), "images": sets.samples.count, **asked.details()}
        if sets.reference is not None:
            about["reference"] = describe(self.split(asked.split), sets.reference.count)
        elif sets.statistics is not None and self.exported is not None:
            about["reference"] = self.exported.describe()
        if kind.interval and sets.resamples:
            about["interval"] = f"95 %, {kind.interval}, {sets.resamples} resamples"
        return Protocol("-".join(parts), about)


def _content(protocol: Protocol, sets: Sets) -> Any:
    """All that a figure depends on."""
    features = [part.key for part in (sets.samples, sets.reference, sets.test) if part is not None]
    labels = [part.tolist() for part in (sets.labels, sets.reference_labels) if part is not None]
    return [__version__, protocol.name, protocol.details, features, labels, sets.label_names, sets.resamples]


def describe(split: ImageSet, count: int) -> str:
    """The first images of a split, for a protocol's details."""
    which = f"all {count}" if count == len(split) else f"first {count} of {len(split)}"
    return f"{split.name}, {which}, {split.fingerprint}"


def _check_subsets(asked: Measurement, subject: str, ours: Features, reference: Features | None) -> None:
    if asked.kind == "kid" and reference is not None and asked.subset_size > min(ours.count, reference.count):
        few = min(ours.count, reference.count)
        raise RequestError(
            f"metrics.protocols: {asked.name()} draws subsets of {asked.subset_size}, found {few} images ({subject}); "
            f"allowed: e.g. kid_{asked.split}{asked.reference_count or ''}_50x{max(2, few // 2)}"
        )
