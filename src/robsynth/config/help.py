"""`robsynth --help` and `robsynth COMMAND --help`, from the schema alone."""

import dataclasses
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import robsynth
from robsynth.config.commands import COMMANDS, Common
from robsynth.config.fields import REQUIRED, limits, shown
from robsynth.config.registry import options
from robsynth.config.tasks import TASKS, ClassTask, TaskSettings

WIDTH, COLUMN = 100, 34
# Words of the command line that are short for others.
SHORT = {"checkpoint": "classifier.checkpoint", "metrics.plugins": "plugins"}


def overview() -> str:
    """The commands, each with a line."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.does}" for name, command in COMMANDS.items())
    return f"""usage: robsynth COMMAND [KEY=VALUE ...]

{robsynth.__doc__}

commands:
{commands}

  robsynth COMMAND --help  the keys of a command, with examples
  robsynth COMMAND --cfg   the configuration that KEY=VALUE ... compose to, without running it
  robsynth COMMAND --plan  what reproduce, train, synthesize or evaluate would do: passes, memory, time
  robsynth --version"""


def usage(command: str) -> str:
    """What a command does, its keys with their help texts, examples, and what it says on stdout."""
    about = COMMANDS[command]
    fields = {item.name: item for item in dataclasses.fields(about.config)}
    jobs = " [KEY=a,b,c ...]" if command == "sweep" else ""
    lines = [f"usage: robsynth {command} [KEY=VALUE ...]{jobs}", "", f"{about.does[0].upper()}{about.does[1:]}.", ""]
    known: dict[type, str] = {}
    # What every command has comes last.
    for name in sorted(about.keys, key=lambda name: name in Common.__dataclass_fields__):
        lines += [_beside(*row) for row in _described(fields[name], "", known)]
    lines += ["", "examples:", *(f"  robsynth {command} {words}".rstrip() for words in about.examples)]
    return "\n".join([*lines, "", _wrapped(f"stdout, as JSON: {about.stdout}", "  ")])


def reference() -> str:
    """docs/reference.md: the help of every command."""
    parts = ["# Reference", "What `robsynth COMMAND --help` says; `make reference` writes it anew."]
    for name in COMMANDS:
        parts += [f"## {name}", f"```text\n{usage(name)}\n```"]
    return "\n\n".join(parts) + "\n"


def _described(item: dataclasses.Field, prefix: str, known: dict[type, str]) -> Iterator[tuple[str, str]]:
    """A setting and what it is, and the same of those below it unless `known` has them under another key."""
    key, kind, text = prefix + item.name, item.type, item.metadata.get("help", "")
    written = f"    {key}" if prefix else f"  {key}"
    if get_origin(kind) is dict and TaskSettings in get_args(kind):
        yield f"{written}.TASK.KEY=", text
        for task, settings in {"TASK": ClassTask, **TASKS}.items():
            for part in dataclasses.fields(settings):
                if task == "TASK" or part.name not in ClassTask.__dataclass_fields__:
                    yield from _described(part, f"{key}.{task}.", known)
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        first = known.setdefault(kind, key)
        choices = "" if prefix else "|".join(options(item.metadata.get("group", key)))
        yield f"{written}={choices}", text if first == key else f"{text}; {key}.KEY= as {first}.KEY="
        for part in dataclasses.fields(kind) if first == key else ():
            yield from _described(part, f"{key}.", known)
    else:
        value, aside = _value(item)
        short = "".join(f"; for short {name}=" for name, full in SHORT.items() if full == key)
        yield f"{written}={value}", text + short + (f" [{aside}]" if aside else "")


def _value(item: dataclasses.Field) -> tuple[str, str]:
    """What may stand after the equals sign, or the default; and aside the default, or the range."""
    about: Any = item.metadata
    default = "" if item.default in (REQUIRED, None, dataclasses.MISSING) else shown(item.default)
    if "group" in about:
        return "|".join(options(about["group"])), ""
    if "allowed" not in about:
        return default, limits(about)
    if get_origin(item.type) is list:
        return f"[{','.join(about['allowed'])}]", ""
    return "|".join(about["allowed"]), default


def _beside(key: str, text: str) -> str:
    """A key and what it says beside it, or below where the key is long."""
    left, margin = _wrapped(key, " " * 6), " " * COLUMN
    right = textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
    return left.ljust(COLUMN) + right.lstrip() if len(left) < COLUMN else f"{left}\n{right}"


def _wrapped(text: str, indent: str) -> str:
    """At most `WIDTH` columns, broken at spaces and after what separates choices."""
    return textwrap.fill(text.replace("|", "| "), WIDTH, subsequent_indent=indent).replace("| ", "|")
