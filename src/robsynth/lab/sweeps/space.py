"""The settings that a sweep tries, in Hydra's words."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException

from robsynth.errors import RequestError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Settings = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A key and what it is tried with."""

    key: str
    override: Override

    @property
    def sweep(self) -> Any:
        """Hydra's ChoiceSweep, RangeSweep or IntervalSweep."""
        return self.override.value()

    @property
    def logarithmic(self) -> bool:
        return "log" in self.sweep.tags

    def values(self) -> list[Any]:
        """Every value of a grid; JSON-like, and a list of values as its word."""
        if isinstance(self.sweep, IntervalSweep):
            raise RequestError(f"{self.key}: found an interval, which no grid has; allowed: a,b,c, range, choice")
        words = self.override.sweep_iterator(transformer=Transformer.encode)
        return [None if word == "null" else word for word in words]

    def distribution(self, grid: bool = False) -> "BaseDistribution":
        """What Optuna draws from, or of a `grid` its values."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        points: list[Any]
        more: dict[str, Any]
        if grid or isinstance(self.sweep, ChoiceSweep):
            return CategoricalDistribution(self.values())
        if isinstance(self.sweep, IntervalSweep):
            points, more = [self.sweep.start, self.sweep.end], {"log": self.logarithmic}
        elif self.logarithmic:
            raise RequestError(f"{self.key}: a range is not logarithmic for sampler=tpe; allowed: choice, interval")
        else:
            points, more = self.values(), {"step": self.sweep.step}
        whole = all(isinstance(point, int) for point in points)
        return (IntDistribution if whole else FloatDistribution)(points[0], points[-1], **more)

    def some(self) -> Any:
        """One of the values that Optuna draws from."""
        found: Any = self.distribution()
        return found.choices[0] if hasattr(found, "choices") else found.low


def is_sweep(word: str) -> bool:
    """Whether a word of the command line has several values."""
    return _parsed(word).is_sweep_override()


def parameter(key: str, words: str) -> Parameter:
    """`key` with the values that `words` say, e.g. `0.5,1,2` or `tag(log,interval(0.1,1))`.

    Raises
    ------
    RequestError
        If they say one value, nothing that Hydra understands, or another order every time.
    """
    override = _parsed(f"{key}={words}")
    sweep = override.value()
    if not isinstance(sweep, ChoiceSweep | RangeSweep | IntervalSweep):
        raise RequestError(f"{key}: found {words}, allowed: a,b,c or choice(..), range(..), interval(..)")
    if getattr(sweep, "shuffle", False):
        raise RequestError(f"{key}: found {words}, but a sweep that goes on has one order; allowed: without shuffle")
    return Parameter(key, override)


def grid(parameters: list[Parameter]) -> list[Settings]:
    """Every combination of the values, the last key changing fastest."""
    values = [one.values() for one in parameters]
    return [dict(zip([one.key for one in parameters], point, strict=True)) for point in product(*values)]


def words_of(settings: Settings) -> list[str]:
    """Settings as words of a command line."""
    return [f"{key}={_word(value)}" for key, value in settings.items()]


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise RequestError(f"{word}: not understood ({' '.join(str(error).split())})") from None
