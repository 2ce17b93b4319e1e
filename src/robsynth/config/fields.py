"""How a setting says what it may be, and the check that holds it to that."""

import dataclasses
from dataclasses import field, is_dataclass
from typing import Any

from robsynth.errors import RequestError

# OmegaConf's mark of a value that a YAML file has to give.
MISSING_NUMBER: Any = "???"


def number(least: float | None = None, above: float | None = None, most: float | None = None) -> Any:
    """A required number, with its range."""
    return field(default=MISSING_NUMBER, metadata={"least": least, "above": above, "most": most})


def choice(*allowed: str, default: str = "???") -> Any:
    """A string out of a few."""
    return field(default=default, metadata={"allowed": allowed})


def check(config: Any, prefix: str = "") -> None:
    """Refuse values out of their declared range, with a line that names the key.

    Raises
    ------
    RequestError
        For the first value that is missing, too small, too large, or not among the allowed ones.
    """
    for item in dataclasses.fields(config):
        value, key = getattr(config, item.name), prefix + item.name
        if is_dataclass(value):
            check(value, f"{key}.")
        elif isinstance(value, dict):
            for name, part in value.items():
                if is_dataclass(part):
                    check(part, f"{key}.{name}.")
        elif value == [] and not item.metadata.get("empty"):
            raise RequestError(f"{key}: found an empty list, allowed: one or more")
        else:
            for place, one in enumerate(value if isinstance(value, list) else [value]):
                if is_dataclass(one):
                    check(one, f"{key}[{place}].")
                else:
                    _check_value(key, one, dict(item.metadata))
    # What several settings contradict each other in, a class knows itself.
    if hasattr(config, "check"):
        config.check(prefix)


def _check_value(key: str, value: Any, limits: dict[str, Any]) -> None:
    if value is None or (isinstance(value, str) and "allowed" not in limits) or not limits:
        return
    if "allowed" in limits:
        if value not in limits["allowed"]:
            raise RequestError(f"{key}: found {value!r}, allowed: {', '.join(limits['allowed'])}")
        return
    least, above, most = (limits.get(name) for name in ("least", "above", "most"))
    # Written so that NaN fails.
    inside = (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and abs(value) != float("inf")
    )
    if not inside:
        bounds = [f"{sign} {bound}" for sign, bound in ((">=", least), (">", above), ("<=", most)) if bound is not None]
        raise RequestError(f"{key}: found {value}, allowed: a number {' and '.join(bounds)}")
