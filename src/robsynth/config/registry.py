"""Names that modules of one's own extend, each known here without importing what it stands for.

A plugin is a module that is imported before anything is composed: one of `plugins=[MODULE]`, or an entry point of the
group `robsynth.plugins` of an installed package. It registers what it brings where that lives, e.g. with
`robsynth.tasks.register_task`, and these rooms add the name here; the schema then allows it.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import robsynth
from robsynth.errors import RequestError


class Names(dict[str, Any]):
    """The names of one kind, in the order in which they came, and what the configuration knows of each."""

    def __init__(self, kind: str, known: dict[str, Any]) -> None:
        super().__init__(known)
        self.kind = kind

    def add(self, name: str, about: Any = None) -> None:
        """Allow a name; a RequestError if it is no word, or already taken."""
        if not name.isidentifier() or name in self:
            raise RequestError(f"plugins: found the {self.kind} {name!r}, allowed: a name like my_own, not yet taken")
        self[name] = about

    def provide(self, name: str, thing: Any, things: dict[str, Any], about: Any = None) -> None:
        """Put into `things` what a name stands for; our own names are known before, any other is added now."""
        if name in things or name not in self:
            self.add(name, about)
        things[name] = thing


NORMS = Names("norm", dict.fromkeys(("l2", "linf", "none")))
OBJECTIVES = Names("objective", dict.fromkeys(("cross_entropy", "logit")))
ARCHITECTURES = Names("architecture", {
    "compact": ("widths",),
    "residual": ("widths",),
    "resnet18_cifar": (),
    "resnet50_cifar": (),
    "resnet18": (),
    "resnet50": (),
    "wide_resnet": ("depth", "widen"),
    "timm": ("model",),
    "torchvision": ("model",),
    "robustbench": ("model", "threat"),
})  # fmt: skip
"""Each with the settings of `Network` that it reads."""
FOREIGN = ("timm", "torchvision", "robustbench")
"""Architectures that are other libraries', and bring their own weights."""


def load_plugins(modules: Sequence[str]) -> None:
    """Import what installed packages offer, and modules of the user's, installed or in the working directory.

    Raises
    ------
    RequestError
        If one cannot be imported; the line names it.
    """
    # As slow as all of `robsynth --help`.
    from importlib.metadata import entry_points

    if modules and (here := str(Path.cwd())) not in sys.path:
        # Last, so that a file there never stands in for a library.
        sys.path.append(here)
    for name in [*(entry.module for entry in entry_points(group="robsynth.plugins")), *modules]:
        try:
            importlib.import_module(name)
        # Also where it ends the process, as a script may.
        except (Exception, SystemExit) as error:
            text = " ".join(str(error).split())
            raise RequestError(f"plugins: {name} cannot be imported ({type(error).__name__}: {text})") from error


def config_directory() -> Path:
    """`conf/` of the clone, or of the installed package."""
    package = Path(robsynth.__file__).parent
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.is_dir())


def bundles() -> dict[str, Path]:
    """The classifiers that ship with the package, by name."""
    return {path.stem: path for path in sorted((Path(robsynth.__file__).parent / "bundles").glob("*.safetensors"))}


def options(group: str) -> list[str]:
    """What may be chosen of a group: its files but for parts of others (with an underscore), and what plugins add."""
    directory = config_directory() / group
    files = {path.relative_to(directory).with_suffix("").as_posix() for path in directory.rglob("[!_]*.yaml")}
    return sorted({*files, *(ARCHITECTURES if group == "classifier" else ())})
