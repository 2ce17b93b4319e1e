"""Help is made from the schema: neither says what the other does not."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from typing import get_args, get_origin

import pytest

from harness import ROOT
from robsynth.config import TASKS, TaskSettings
from robsynth.config.commands import COMMANDS
from robsynth.config.compose import load_config, split_words
from robsynth.config.help import reference, usage


def keys(kind: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field]]:
    """Every setting below a dataclass, by its full key."""
    for item in dataclasses.fields(kind):
        yield prefix + item.name, item
        if dataclasses.is_dataclass(item.type):
            yield from keys(item.type, f"{prefix}{item.name}.")
        elif get_origin(item.type) is dict and TaskSettings in get_args(item.type):
            for name, settings in TASKS.items():
                yield from keys(settings, f"{prefix}{item.name}.{name}.")


def said(command: str) -> set[str]:
    """The full keys that a command's help speaks of."""
    text = usage(command)
    found = set(re.findall(r"^ {2,4}([\w.]+)=", text, re.M))
    for short, full in re.findall(r"([\w.]+)\.KEY= as ([\w.]+)\.KEY=", " ".join(text.split())):
        found |= {key.replace(full, short, 1) for key in found if key.startswith(f"{full}.")}
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_of_every_key_that_the_command_reads_and_of_no_other(command):
    about = COMMANDS[command]
    there = {key for key, _ in keys(about.config) if key.split(".")[0] in about.keys}
    # What all tasks have is said once.
    common = {f"tasks.{task}.{key}" for task in TASKS for key in ("objective", *TaskSettings.__dataclass_fields__)}
    of_all = {re.sub(r"tasks\.\w+\.", "tasks.TASK.", key) for key in there & common} | {"tasks.TASK.KEY"}
    expected = (there - common - {"tasks"}) | (of_all if "tasks" in about.keys else set())
    assert said(command) == expected


def test_the_reference_is_what_help_says():
    assert (ROOT / "docs" / "reference.md").read_text() == reference()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_says_what_it_is(command):
    assert [key for key, item in keys(COMMANDS[command].config) if not item.metadata.get("help")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_at_most_100_columns_wide(command):
    assert [line for line in usage(command).splitlines() if len(line) > 100] == []


@pytest.mark.parametrize(("command", "example"), [(name, one) for name in COMMANDS for one in COMMANDS[name].examples])
def test_the_examples_compose(command, example):
    assert f"  robsynth {command} {example}".rstrip() in usage(command).splitlines()
    words = [word for word in shlex.split(example) if word != "--plan"]
    own, jobs = split_words(words) if command == "sweep" else (words, [])
    assert load_config(command, own) is not None
    for word in jobs:
        assert word.split("=")[0] in dict(keys(COMMANDS["reproduce"].config))


def test_help_says_what_may_be_chosen():
    text = usage("train")
    assert "adversary.norm=l2|linf|none " in text
    assert "recipe.epochs=                passes over the data [>= 1]" in text
    assert "device=auto|cpu|cuda " in text
    assert "paper/restricted_imagenet" in text
    assert "_photographs" not in text
