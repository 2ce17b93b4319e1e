"""Who may hear how a run goes, and end it by what it raises."""

from collections.abc import Callable, Sequence
from typing import Any

from robsynth.samples import Samples, SampleStore

Rows = Sequence[dict[str, float]]
"""A training's metrics, a row an epoch, each with its `epoch` (from 1)."""


class Listener:
    """Hears, and does nothing about it."""

    def history(self, training: str, rows: Rows) -> None:
        """All epochs of a training so far."""

    def images(self, task: str, store: SampleStore, measure: Callable[[Samples], list[Any]]) -> None:
        """A store that is being filled, and how to measure the first of its images."""
