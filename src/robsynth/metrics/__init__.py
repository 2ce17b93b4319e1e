"""Measuring sets and pairs of images under named protocols."""

from robsynth.metrics.extractors import register_extractor
from robsynth.metrics.measures import Sets, register_metric
from robsynth.metrics.protocols import Found, Measurement
from robsynth.records.figures import Metric

__all__ = ["Found", "Measurement", "Metric", "Sets", "register_extractor", "register_metric"]
