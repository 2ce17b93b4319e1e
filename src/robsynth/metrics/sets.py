"""Measuring sets of images under named protocols, none of them twice."""

from typing import Any

import torch

from robsynth import __version__
from robsynth.config import Metrics
from robsynth.data import DataSet, ImageSet
from robsynth.errors import RequestError
from robsynth.metrics.cache import values_once
from robsynth.metrics.exported import Exported
from robsynth.metrics.extractors import KNOWN, Extractor, JudgeExtractor, load_plugins, open_extractor
from robsynth.metrics.features import DataSource, Features, SampleSource
from robsynth.metrics.measures import MEASURES, Found, Sets
from robsynth.metrics.protocols import Measurement, parse
from robsynth.records.figures import Figure, Protocol
from robsynth.samples import Inspection, Samples


class SetMeasures:
    """Measures samples against a data set, or against statistics that were exported from one."""

    def __init__(
        self, settings: Metrics, data: DataSet | None, exported: Exported | None, judge: JudgeExtractor | None,
        device: torch.device, precision: str,
    ) -> None:  # fmt: skip
        load_plugins(settings.plugins)
        self.settings, self.data, self.exported, self.judge, self.device = settings, data, exported, judge, device
        self.asked = [parse(name, precision) for name in settings.protocols]
        self._opened: dict[tuple[str, str], Extractor] = {}

    def extractor(self, asked: Measurement) -> Extractor:
        """The extractor of a measurement, opened once."""
        key = (asked.extractor, asked.precision)
        if key not in self._opened:
            weights = self.settings.inception_weights
            self._opened[key] = open_extractor(*key, self.device, inception_weights=weights, judge=self.judge)
        return self._opened[key]

    def features(self, asked: Measurement, samples: Samples, looked_at: Inspection) -> Features:
        """Of the samples that a measurement looks at: the first, where it asks for fewer than there are."""
        count = asked.count or len(samples)
        if count > len(samples):
            raise RequestError(f"samples: found {len(samples)} images, but {asked.name()} needs {count}")
        return Features(SampleSource(samples, looked_at), self.extractor(asked), count)

    def compute_share(self, asked: Measurement, samples: Samples, looked_at: Inspection) -> None:
        """This process's share of all features that `measure` will read."""
        ours = self.features(asked, samples, looked_at)
        for part in (ours, self.reference(asked, ours), self._held_out(asked, ours)):
            if part is not None:
                part.compute_share()

    def measure(self, asked: Measurement, subject: str, samples: Samples, looked_at: Inspection) -> list[Figure]:
        """The figures of one measurement.

        Raises
        ------
        RequestError
            If there are fewer images than it needs, here or in the reference, or if it needs a reference's images
            and there are statistics only.
        """
        ours = self.features(asked, samples, looked_at)
        reference = self.reference(asked, ours)
        asked = asked.of(ours.count, self._number(asked, reference))
        _check_subsets(asked, subject, ours, reference)
        compared = self.exported if asked.kind == "fid" else None
        sets = Sets(
            samples=ours,
            reference=reference,
            held_out=self._held_out(asked, ours),
            labels=None if samples.wanted is None else samples.wanted[: ours.count],
            reference_labels=None if reference is None else self.split(asked).labels[: reference.count].numpy(),
            label_names=self.data.label_names if self.data else (),
            statistics=compared.fitting(ours.extractor) if compared else None,
            resamples=self.settings.resamples,
        )
        protocol = self._protocol(asked, sets)
        found: Found = values_once("figures", self._content(protocol, sets), lambda: MEASURES[asked.kind](asked, sets))
        return [
            Figure(subject, metric, protocol=protocol, count=ours.count, **values) for metric, values in found.items()
        ]

    def split(self, asked: Measurement) -> ImageSet:
        assert self.data is not None
        return self.data.train if asked.split == "train" else self.data.test

    def reference(self, asked: Measurement, ours: Features) -> Features | None:
        """The reference's features; a score that looks at samples alone is set beside as many real images."""
        if self.data is None:
            if asked.kind not in ("fid", "is"):
                raise RequestError(f"metrics.protocols: {asked.name()} needs a data set; statistics allow fid and is")
            return None
        split = self.split(asked)
        count = asked.reference_count or (len(split) if asked.compares else min(ours.count, len(split)))
        if count > len(split):
            raise RequestError(f"reference: {split.name} has {len(split)} images, but {asked.name()} needs {count}")
        return Features(DataSource(split, count), ours.extractor, count)

    def _number(self, asked: Measurement, reference: Features | None) -> int | None:
        whole = reference is None or reference.count == len(self.split(asked))
        return None if whole or reference is None else reference.count

    def _held_out(self, asked: Measurement, ours: Features) -> Features | None:
        if asked.kind != "memorised" or self.data is None:
            return None
        count = min(ours.count, len(self.data.test))
        return Features(DataSource(self.data.test, count), ours.extractor, count)

    def _protocol(self, asked: Measurement, sets: Sets) -> Protocol:
        extractor, details = sets.samples.extractor, {"images": sets.samples.count}
        parts = [asked.name()]
        if asked.compares and self.data is not None:
            parts.append(self.data.name)
        elif asked.compares and self.exported is not None:
            parts.append(self.exported.name)
        if extractor.name not in KNOWN:
            parts.append(extractor.digest)
        about: dict[str, Any] = {**extractor.describe(), **details, **asked.details()}
        if sets.reference is not None:
            about["reference"] = describe(self.split(asked), sets.reference.count)
        elif sets.statistics is not None and self.exported is not None:
            about["reference"] = self.exported.describe()
        if asked.kind == "fid" and sets.resamples:
            about["interval"] = f"95 %, bootstrap over the samples, {sets.resamples} resamples"
        return Protocol("-".join(parts), about)

    def _content(self, protocol: Protocol, sets: Sets) -> Any:
        """All that a figure depends on."""
        features = [part.key for part in (sets.samples, sets.reference, sets.held_out) if part is not None]
        labels = [part.tolist() for part in (sets.labels, sets.reference_labels) if part is not None]
        return [__version__, protocol.name, protocol.details, features, labels]


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
