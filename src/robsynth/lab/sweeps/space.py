"""The settings that a sweep tries, in Hydra's words."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import yaml
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
    sweep: ChoiceSweep | RangeSweep | IntervalSweep
    override: Override

    def values(self) -> list[Any]:
        """Every value of a grid; JSON-like, and a list of values as its word."""
        if isinstance(self.sweep, IntervalSweep):
            raise RequestError(f"{self.key}: found an interval, which no grid has; allowed: a,b,c, range, choice")
        return [_plain(word) for word in self.override.sweep_iterator(transformer=Transformer.encode)]

    def choices(self) -> "BaseDistribution":
        """The values of a grid, as Optuna knows them."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values())

    def distribution(self) -> "BaseDistribution":
        """What Optuna draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        sweep = self.sweep
        log = "log" in sweep.tags
        if isinstance(sweep, ChoiceSweep):
            return self.choices()
        if isinstance(sweep, RangeSweep):
            if log or sweep.shuffle:
                raise RequestError(f"{self.key}: a range is neither shuffled nor logarithmic for sampler=tpe; allowed: "
                                   "choice, interval")  # fmt: skip
            values = self.values()
            low, high, step = values[0], values[-1], sweep.step
            whole = all(isinstance(value, int) for value in values)
            return IntDistribution(low, high, step=int(step)) if whole else FloatDistribution(low, high, step=step)
        assert sweep.start is not None
        assert sweep.end is not None
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=log)
        return FloatDistribution(float(sweep.start), float(sweep.end), log=log)

    @property
    def logarithmic(self) -> bool:
        return "log" in self.sweep.tags


def is_sweep(word: str) -> bool:
    """Whether a word of the command line has several values."""
    return _parsed(word).is_sweep_override()


def parameter(key: str, words: str) -> Parameter:
    """`key` with the values that `words` say, e.g. `0.5,1,2` or `tag(log,interval(0.1,1))`.

    Raises
    ------
    RequestError
        If they say one value, or nothing that Hydra understands.
    """
    override = _parsed(f"{key}={words}")
    sweep = override.value()
    if not isinstance(sweep, ChoiceSweep | RangeSweep | IntervalSweep):
        raise RequestError(f"{key}: found {words}, allowed: a,b,c or choice(..), range(..), interval(..)")
    return Parameter(key, sweep, override)


def grid(parameters: list[Parameter]) -> list[Settings]:
    """Every combination of the values, the last key changing fastest."""
    values = [one.values() for one in parameters]
    return [dict(zip([one.key for one in parameters], point, strict=True)) for point in product(*values)]


def words_of(settings: Settings) -> list[str]:
    """Settings as words of a command line."""
    return [f"{key}={_word(value)}" for key, value in settings.items()]


def _parsed(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise RequestError(f"{word}: not understood ({' '.join(str(error).split())})") from None


def _plain(word: Any) -> Any:
    """A word of Hydra's as a number, a truth value, null or else a string."""
    if not isinstance(word, str):
        return word
    try:
        found = yaml.safe_load(word)
    except yaml.YAMLError:
        return word
    return found if isinstance(found, int | float | bool | None) else word


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
