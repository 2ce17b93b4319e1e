"""The settings that a sweep tries, in Hydra's words."""

from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException

from robsynth.errors import RequestError


def parsed(word: str) -> Override:
    """A word of the command line, which may have several values; a RequestError if Hydra does not understand it."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise RequestError(f"{word}: not understood ({' '.join(str(error).split())})") from None


def parameter(key: str, words: str) -> Override:
    """`key` with the values that `words` say, e.g. `0.5,1,2` or `tag(log,interval(0.1,1))`.

    Raises
    ------
    RequestError
        If they say one value, nothing that Hydra understands, or another order every time.
    """
    found = parsed(f"{key}={words}")
    sweep = found.value()
    if not isinstance(sweep, ChoiceSweep | RangeSweep | IntervalSweep):
        raise RequestError(f"{key}: found {words}, allowed: a,b,c or choice(..), range(..), interval(..)")
    if getattr(sweep, "shuffle", False):
        raise RequestError(f"{key}: found {words}, but a sweep that goes on has one order; allowed: without shuffle")
    return found


def is_logarithmic(one: Override) -> bool:
    return "log" in one.value().tags  # type: ignore[union-attr]


def values(one: Override) -> list[Any]:
    """Every value of a grid; JSON-like, and a list of values as its word."""
    if isinstance(one.value(), IntervalSweep):
        raise RequestError(f"{one.key_or_group}: found an interval, which no grid has; allowed: a,b,c, range, choice")
    return [None if word == "null" else word for word in one.sweep_iterator(transformer=Transformer.encode)]


def grid(parameters: dict[str, Override]) -> list[dict[str, Any]]:
    """Every combination of the values, the last key changing fastest."""
    return [dict(zip(parameters, point, strict=True)) for point in product(*map(values, parameters.values()))]


def words_of(settings: dict[str, Any]) -> list[str]:
    """Settings as words of a command line."""
    said = {key: str(value).lower() if isinstance(value, bool) else value for key, value in settings.items()}
    return [f"{key}={'null' if value is None else value}" for key, value in said.items()]
