"""Choosing among runs by their figures, and ordering them: records, or whatever else has `figures` as they do."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from robsynth.errors import RequestError
from robsynth.records.figures import METRICS

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
CONDITION = re.compile(r"(.+?)\s*(<=|>=|<|>|=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*")
NAME = re.compile(rf"(?:([^/]+)/)?({'|'.join(METRICS)})(?:/([^/]+))?")
AnyRun = TypeVar("AnyRun", bound=Any)


@dataclass(frozen=True)
class Wanted:
    """One figure of a run; without a subject or a protocol the first in its record that fits."""

    metric: str
    subject: str | None = None
    protocol: str | None = None

    def of(self, run: Any) -> dict[str, Any] | None:
        """The figure, if the run has it; points of curves do not count."""
        asked = {key: value for key, value in vars(self).items() if value is not None}
        fitting = (figure for figure in run.figures if figure["value"] is not None and "at" not in figure
                   and asked.items() <= figure.items())  # fmt: skip
        return next(fitting, None)


def parse_wanted(text: str, key: str) -> Wanted:
    """`[SUBJECT/]METRIC[/PROTOCOL]`; a RequestError names `key`."""
    found = NAME.fullmatch(text.strip())
    if found is None:
        allowed = f"[SUBJECT/]METRIC[/PROTOCOL] with METRIC one of {', '.join(METRICS)}"
        raise RequestError(f"{key}: found {text!r}, allowed: {allowed}")
    return Wanted(found[2], found[1], found[3])


def matching(runs: list[AnyRun], where: str) -> list[AnyRun]:
    """The runs of which all comma-separated conditions `FIGURE OPERATOR NUMBER` hold; who lacks a figure is out."""
    for condition in where.split(","):
        found = CONDITION.fullmatch(condition)
        if found is None:
            raise RequestError(f"where: found {condition!r}, allowed: FIGURE<NUMBER, or with <=, >, >= or =")
        wanted, compare, bound = parse_wanted(found[1], "where"), OPERATORS[found[2]], float(found[3])
        runs = [run for run in runs if (figure := wanted.of(run)) and compare(figure["value"], bound)]
    return runs


def ordered(runs: list[AnyRun], by: str) -> list[AnyRun]:
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
