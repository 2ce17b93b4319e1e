"""How a setting says what it is and may be, and the check that holds it to that."""

import dataclasses
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robsynth.errors import RequestError

# OmegaConf's mark of a value that a YAML file or the command line has to give.
REQUIRED: Any = "???"
# What a class says in its `contradictions`: whether there is one, in which setting, and what is said of it.
Contradictions = Iterator[tuple[Any, str, str]]


def setting(default: Any = REQUIRED, *, help: str, **about: Any) -> Any:
    """A setting with its help text: what it is, in which unit.

    `default` is its value, or what makes it: `list`, `dict`, or the dataclass of a group of settings. Beside what
    `number` and `choice` say, `about` may have "some", of a list that may not be empty, and "group", the folder of
    conf/ that it is chosen from, if not the one of its name.
    """
    made: dict[str, Any] = {"default_factory": default} if callable(default) else {"default": default}
    return dataclasses.field(**made, metadata={"help": help, **about})


def number(
    least: float | None = None, above: float | None = None, most: float | None = None, *, default: Any = REQUIRED,
    help: str, **about: Any,
) -> Any:  # fmt: skip
    """A number, or a list of them, with its range."""
    bounds = ((">=", operator.ge, least), (">", operator.gt, above), ("<=", operator.le, most))
    return setting(default, help=help, bounds=[one for one in bounds if one[2] is not None], **about)


def choice(allowed: Iterable[str], *, default: Any = REQUIRED, help: str, **about: Any) -> Any:
    """A string out of a few, or a list of them; names that plugins extend are read when they are needed.

    With `beside`, "needed" or "optional", `allowed` maps each to the settings beside this one that only those read.
    """
    return setting(default, help=help, allowed=allowed, **about)


def limits(about: Mapping[str, Any]) -> str:
    """The range of a number in words; empty without one."""
    return " and ".join(f"{sign} {bound}" for sign, _, bound in about.get("bounds", ()))


def shown(value: Any) -> str:
    """A value as it is written on the command line."""
    return {"None": "none", "[]": "an empty list", "False": "false", "True": "true"}.get(str(value), str(value))


def check(config: Any, prefix: str = "") -> None:
    """Refuse values out of their declared range, and what contradicts another setting.

    Raises
    ------
    RequestError
        For the first one: a line that names the key, what was found and what is allowed.
    """
    for item in dataclasses.fields(config):
        for key, value in _parts(prefix + item.name, getattr(config, item.name)):
            if dataclasses.is_dataclass(value):
                check(value, f"{key}.")
            elif value is not None:
                _check_value(prefix + item.name, value, _about(type(config), item.name))
    for wrong, name, rule in itertools.chain(_unfit(config, prefix), getattr(config, "contradictions", tuple)()):
        if wrong:
            raise RequestError(f"{prefix}{name}: found {shown(operator.attrgetter(name)(config))}, {rule}")


def _unfit(config: Any, prefix: str) -> Contradictions:
    """Lists that are empty, and settings that a choice beside them needs or does not read."""
    values = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}
    for name, chosen in values.items():
        about = _about(type(config), name)
        yield about.get("some") and chosen == [], name, "allowed: one or more"
        for other in values if "beside" in about else ():
            readers = [word for word, reads in about["allowed"].items() if other in reads]
            if chosen in readers:
                yield about["beside"] == "needed" and values[other] in (None, []), other, f"but {chosen} needs it"
            elif readers:
                default = getattr(type(config), other, [])
                # A group of files is chosen by the name of its key.
                chooser = prefix[:-1] if name == "name" and prefix.count(".") == 1 else prefix + name
                rule = f"but only {chooser}={' or '.join(readers)} reads it; allowed: {shown(default)}"
                yield values[other] != default, other, rule


def _about(kind: type, name: str) -> dict[str, Any]:
    """What is known of a setting, also where a class of one's own only gives it another default."""
    known = (getattr(base, "__dataclass_fields__", {}).get(name) for base in reversed(kind.__mro__))
    return {key: value for item in known if item for key, value in item.metadata.items()}


def _parts(key: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{key}.{name}", one) for name, one in value.items()]
    if isinstance(value, list):
        return [(f"{key}[{place}]", one) for place, one in enumerate(value)]
    return [(key, value)]


def _check_value(key: str, value: Any, about: dict[str, Any]) -> None:
    if value not in about.get("allowed", (value,)):
        raise RequestError(f"{key}: found {value!r}, allowed: {', '.join(about['allowed'])}")
    bounds = about.get("bounds")
    # NaN fails every comparison.
    if bounds and (math.isinf(value) or not all(holds(value, bound) for _, holds, bound in bounds)):
        raise RequestError(f"{key}: found {value}, allowed: a number {limits(about)}")
