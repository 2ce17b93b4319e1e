"""The order of the house: data flows one way through its rooms, and what a room does not know it cannot break."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import robsynth

SOURCE = Path(robsynth.__file__).parent
FOUNDATION = {"", "errors", "files", "directories", "machine", "randomness", "progress", "processes"}
# Each room, and the rooms that it knows besides the foundation.
KNOWS = {
    "config": set(),
    "ascent": {"config"},
    "classifiers": {"config", "ascent"},
    "data": {"config"},
    "training": {"config", "data", "classifiers", "ascent"},
    "baselines": {"config", "data", "classifiers", "ascent", "training"},
    "tasks": {"config", "data", "classifiers", "ascent"},
    "records": set(),
    "samples": set(),
    "metrics": {"config", "samples", "data", "classifiers", "ascent", "records"},
    "reports": {"records"},
}
KNOWS["lab"] = {*KNOWS}
KNOWS["commands"] = KNOWS["cli"] = KNOWS["__main__"] = {*KNOWS, "cli"}


def imports(path: Path) -> Iterator[str]:
    """The modules of this package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "robsynth":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "robsynth")


def is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


ARROWS = sorted(
    {
        (".".join(("robsynth", *path.relative_to(SOURCE).with_suffix("").parts)), target)
        for path in SOURCE.rglob("*.py")
        for target in imports(path)
        if is_module(target)
    }
)


def test_every_folder_is_a_room_of_the_plan():
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == {*KNOWS} - {"cli", "__main__"}


@pytest.mark.parametrize("room", [*KNOWS, *sorted(FOUNDATION - {""})])
def test_arrows_point_one_way(room):
    allowed = KNOWS.get(room, set()) | FOUNDATION | {room}
    against = [f"{source} -> {target}" for source, target in ARROWS
               if room_of(source) == room and room_of(target) not in allowed]  # fmt: skip
    assert against == []


@pytest.mark.parametrize(
    ("part", "unknown"),
    [
        ("robsynth.commands.", "robsynth.commands."),  # Commands share what lies below them, not one another.
        ("robsynth.lab.runner", "robsynth.lab.stages"),
        ("robsynth.lab.context", "robsynth.lab.runner"),
        ("robsynth.lab.stages", "robsynth.lab.sweeps"),
        ("robsynth.lab.runner", "robsynth.lab.sweeps"),
        ("robsynth.lab.stages", "robsynth.commands"),
    ],
)
def test_what_does_not_know_what(part, unknown):
    against = [arrow for arrow in ARROWS if arrow[0].startswith(part) and arrow[1].startswith(unknown)]
    assert against == []


def test_no_circles():
    """Files that import one another at their top are one file in two."""
    later: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        name = ".".join(("robsynth", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom) and node.module]
        named = {f"{node.module}.{alias.name}" for node in top for alias in node.names}
        later[name] = {one for one in named | {str(node.module) for node in top} if is_module(one)} - {name}
    circles = [(one, other) for one in later for other in later[one] if one < other and one in later.get(other, ())
               and not other.startswith(f"{one}.")]  # fmt: skip
    assert circles == []
