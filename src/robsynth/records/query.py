"""Choosing among runs by their figures, and ordering them."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robsynth.errors import RequestError
from robsynth.lab.catalogue import LocalRun
from robsynth.records.figures import METRICS
from robsynth.records.record import Record

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
CONDITION = re.compile(r"(.+?)\s*(<=|>=|<|>|=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Wanted:
    """One figure of a run; without a subject or a protocol the first in its record that fits."""

    metric: str
    subject: str | None = None
    protocol: str | None = None

    def of(self, run: LocalRun | Record) -> dict[str, Any] | None:
        """The figure, if the run has it; points of curves do not count."""
        return next((figure for figure in run.figures if self._fits(figure)), None)

    def _fits(self, figure: dict[str, Any]) -> bool:
        return (
            figure["metric"] == self.metric
            and self.subject in (None, figure["subject"])
            and self.protocol in (None, figure["protocol"])
            and figure["value"] is not None
            and "at" not in figure
        )


def parse_wanted(text: str, key: str) -> Wanted:
    """`[SUBJECT/]METRIC[/PROTOCOL]`; a RequestError names `key`."""
    parts = text.strip().split("/")
    place = next((place for place, part in enumerate(parts[:2]) if part in METRICS), None)
    if place is None or len(parts) > place + 2:
        raise RequestError(
            f"{key}: found {text!r}, allowed: [SUBJECT/]METRIC[/PROTOCOL] with METRIC one of {', '.join(METRICS)}"
        )
    before, after = parts[:place], parts[place + 1 :]
    return Wanted(parts[place], before[0] if before else None, after[0] if after else None)


def matching(runs: list[LocalRun], where: str) -> list[LocalRun]:
    """The runs of which all comma-separated conditions `FIGURE OPERATOR NUMBER` hold; who lacks a figure is out."""
    for condition in where.split(","):
        found = CONDITION.fullmatch(condition)
        if found is None:
            raise RequestError(f"where: found {condition!r}, allowed: FIGURE<NUMBER, or with <=, >, >= or =")
        wanted, compare, bound = parse_wanted(found[1], "where"), OPERATORS[found[2]], float(found[3])
        runs = [run for run in runs if (figure := wanted.of(run)) and compare(figure["value"], bound)]
    return runs


def ordered(runs: list[LocalRun], by: str) -> list[LocalRun]:
    """By `finished` or by a figure, downwards with a minus before it; runs that lack it come last.

    Figures are compared under one protocol only: runs of the same protocol stand together.
    """
    name, down = by.removeprefix("-"), by.startswith("-")
    if name == "finished":
        done = sorted((run for run in runs if run.finished), key=lambda run: str(run.finished), reverse=down)
        return done + [run for run in runs if not run.finished]
    wanted = parse_wanted(name, "sort")
    measured = [(figure, run) for run in runs if (figure := wanted.of(run))]
    measured.sort(key=lambda pair: (pair[0]["protocol"], -pair[0]["value"] if down else pair[0]["value"]))
    return [run for _, run in measured] + [run for run in runs if wanted.of(run) is None]
