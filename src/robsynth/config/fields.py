"""How a setting says what it is and may be, and the check that holds it to that."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import field, is_dataclass
from typing import Any

from robsynth.errors import RequestError

# OmegaConf's mark of a value that a YAML file or the command line has to give.
REQUIRED: Any = "???"


def setting(default: Any = REQUIRED, *, help: str, **about: Any) -> Any:
    """A setting with its help text: what it is, in which unit.

    Parameters
    ----------
    default
        Its value, or what makes it: `list`, `dict`, or the dataclass of a group of settings.
    about
        What else is known: "some" of a list that may not be empty, "group" if the files that it is chosen from lie in
        another group of conf/ than the one of its name, and what `number` and `choice` say.
    """
    made: dict[str, Any] = {"default_factory": default} if callable(default) else {"default": default}
    return field(**made, metadata={"help": help, **about})


def number(
    least: float | None = None, above: float | None = None, most: float | None = None, *, default: Any = REQUIRED,
    help: str, **about: Any,
) -> Any:  # fmt: skip
    """A number, or a list of them, with its range."""
    return setting(default, help=help, least=least, above=above, most=most, **about)


def choice(allowed: Iterable[str], *, default: Any = REQUIRED, help: str, **about: Any) -> Any:
    """A string out of a few, or a list of them; names that plugins extend are read when they are needed."""
    return setting(default, help=help, allowed=allowed, **about)


def limits(about: Mapping[str, Any]) -> str:
    """The range of a number in words; empty without one."""
    signs = {"least": ">=", "above": ">", "most": "<="}
    return " and ".join(f"{sign} {about[name]}" for name, sign in signs.items() if about.get(name) is not None)


def check(config: Any, prefix: str = "") -> None:
    """Refuse values out of their declared range, with a line that names the key.

    Raises
    ------
    RequestError
        For the first value that is too small, too large, not among the allowed ones, or in contradiction to another.
    """
    for item in dataclasses.fields(config):
        value, key, about = getattr(config, item.name), prefix + item.name, _about(type(config), item.name)
        if value == [] and about.get("some"):
            raise RequestError(f"{key}: found an empty list, allowed: one or more")
        for where, one in _parts(key, value):
            if is_dataclass(one):
                check(one, f"{where}.")
            else:
                _check_value(key, one, about)
    # What several settings contradict each other in, a class knows itself.
    if hasattr(config, "check"):
        config.check(prefix)


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
    if value is None:
        return
    if "allowed" in about:
        if value not in about["allowed"]:
            raise RequestError(f"{key}: found {value!r}, allowed: {', '.join(about['allowed'])}")
    elif allowed := limits(about):
        least, above, most = (about.get(name) for name in ("least", "above", "most"))
        # Written so that NaN fails.
        inside = (
            (least is None or value >= least)
            and (above is None or value > above)
            and (most is None or value <= most)
            and abs(value) != float("inf")
        )
        if not inside:
            raise RequestError(f"{key}: found {value}, allowed: a number {allowed}")
