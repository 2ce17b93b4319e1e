"""`robsynth --help` and `robsynth COMMAND --help`, from the schema alone."""

import dataclasses
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from robsynth.config.commands import COMMANDS, Common
from robsynth.config.fields import REQUIRED, limits
from robsynth.config.groups import options
from robsynth.config.registry import TASKS
from robsynth.config.tasks import ClassTask, TaskSettings

WIDTH, COLUMN = 100, 32
# Words of the command line that are short for others.
SHORT = {"checkpoint": "classifier.checkpoint", "metrics.plugins": "plugins"}


def overview() -> str:
    """The commands, each with a line."""
    width = max(map(len, COMMANDS))
    return "\n".join([
        "usage: robsynth COMMAND [KEY=VALUE ...]",
        "",
        "Image synthesis with a single robust classifier: reproduce, measure and extend.",
        "",
        "commands:",
        *(f"  {name:<{width}}  {command.does}" for name, command in COMMANDS.items()),
        "",
        "  robsynth COMMAND --help  the keys of a command, with examples",
        "  robsynth COMMAND --cfg   the configuration that KEY=VALUE ... compose to, without running it",
        "  robsynth COMMAND --plan  what it would do: stages, passes, memory and time, without doing it",
        "  robsynth --version",
    ])  # fmt: skip


def usage(command: str) -> str:
    """What a command does, its keys with their help texts, examples, and what it says on stdout."""
    about = COMMANDS[command]
    fields = {item.name: item for item in dataclasses.fields(about.config)}
    jobs = " [KEY=a,b,c ...]" if command == "sweep" else ""
    lines = [f"usage: robsynth {command} [KEY=VALUE ...]{jobs}", "", f"{about.does[0].upper()}{about.does[1:]}.", ""]
    shown: dict[type, str] = {}
    # What every command has comes last.
    for name in sorted(about.keys, key=lambda name: name in Common.__dataclass_fields__):
        lines += _described(fields[name], "", shown)
    lines += ["", "examples:", *(f"  robsynth {command} {words}".rstrip() for words in about.examples)]
    return "\n".join([*lines, "", *_wrapped(f"stdout, as JSON: {about.stdout}", "", "  ")])


def _described(item: dataclasses.Field, prefix: str, shown: dict[type, str]) -> Iterator[str]:
    """The lines of a setting, and of those below it unless `shown` has them under another key."""
    key, kind = prefix + item.name, item.type
    if get_origin(kind) is dict and TaskSettings in get_args(kind):
        yield from _line(f"{key}.TASK.KEY=", item.metadata["help"])
        common = ClassTask.__dataclass_fields__
        for part in common.values():
            yield from _described(part, f"  {key}.TASK.", shown)
        for task, settings in TASKS.items():
            for part in dataclasses.fields(settings):
                if part.name not in common:
                    yield from _described(part, f"  {key}.{task}.", shown)
    elif dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        known = shown.get(kind)
        group = item.metadata.get("group", item.name)
        choices = "|".join(options(group)) if not prefix.strip() else ""
        below = f"; {key.strip()}.KEY= as {known}.KEY=" if known else ""
        yield from _line(f"{key}={choices}", item.metadata["help"] + below)
        if not known:
            shown[kind] = key.strip()
            for part in dataclasses.fields(kind):
                yield from _described(part, f"  {key.strip()}." if not prefix else f"{key}.", shown)
    else:
        yield from _line(f"{key}={_value(item)}", _text(item, key.strip()))


def _value(item: dataclasses.Field) -> str:
    """What may stand after the equals sign: the allowed words, or the default."""
    about: Any = item.metadata
    if "group" in about:
        return "|".join(options(about["group"]))
    if "allowed" in about:
        words = "|".join(about["allowed"])
        return f"[{words.replace('|', ',')}]" if get_origin(item.type) is list else words
    if item.type is bool:
        return str(item.default).lower()
    return "" if item.default in (REQUIRED, None, dataclasses.MISSING) else str(item.default)


def _text(item: dataclasses.Field, key: str) -> str:
    """The help text, what it is short for, and the range or, where it does not stand beside the key, the default."""
    short = [f"for short {name}=" for name, full in SHORT.items() if full == key]
    known = "allowed" in item.metadata and isinstance(item.default, str) and item.default != REQUIRED
    aside = item.default if known else limits(item.metadata)
    return "; ".join([item.metadata.get("help", ""), *short]) + (f" [{aside}]" if aside else "")


def _line(key: str, text: str) -> list[str]:
    """A key and what it says beside it, or below where the key is long."""
    first, *rest = _wrapped(f"  {key}", "", " " * 6)
    lines = textwrap.wrap(text, WIDTH - COLUMN - 2)
    if not rest and len(first) < COLUMN + 2:
        return [f"{first:<{COLUMN + 2}}{lines[0]}", *(" " * (COLUMN + 2) + line for line in lines[1:])]
    return [first, *rest, *(" " * (COLUMN + 2) + line for line in lines)]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """At most `WIDTH` columns, broken at spaces and after what separates choices."""
    pieces = textwrap.wrap(
        text.replace("|", "| "), WIDTH, initial_indent=first, subsequent_indent=rest, drop_whitespace=True
    )
    return [piece.replace("| ", "|") for piece in pieces]
