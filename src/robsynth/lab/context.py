"""What a run is made with: its configuration, what computes, who listens, and what its stages have left so far."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from robsynth import __version__, processes
from robsynth.classifiers import Classifier, ImageSpec, find_checkpoint, load_classifier
from robsynth.config.commands import COMMANDS
from robsynth.config.compose import resolved
from robsynth.data import DataSet, load_data
from robsynth.data.normalisation import normalisation
from robsynth.data.sizes import Sizes, sizes_of
from robsynth.directories import decisive
from robsynth.files import digest, file_sha1, path_digest
from robsynth.lab.listening import Listener
from robsynth.lab.trackers import RunInfo, Tracking
from robsynth.machine import Machine, resolve_machine

Result = dict[str, Any]
T = TypeVar("T")
# Settings that name checkpoints or the classifiers that ship, and other files, all known by what they hold.
CHECKPOINTS = ("checkpoint", "start", "judge", "ensemble")
FILES = ("statistics", "inputs", "masks", "mask", "inception_weights")
# Where settings come from; what they come to is compared itself.
ORIGINS = ("experiment", "scale", "settings", "made_for")


@dataclass
class Context:
    """All that a stage may ask for.

    Nothing is loaded before it is asked for, and what is opened through the context lies on its machine's device.
    `depends` is what results depend on besides settings and the files that these name; `results` are those of the
    stages that are done, by name.
    """

    command: str
    config: Any
    machine: Machine
    listener: Listener
    depends: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    shared: dict[str, Any] = field(default_factory=dict)
    started: str = ""

    @property
    def seed(self) -> int:
        return self.config.seed

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What this run is known by: equal requests have equal identities, and other contents of a file another one."""
        keys = [key for key in COMMANDS[self.command].keys if key not in ORIGINS]
        read = {key: getattr(self.config, key) for key in keys}
        settings = {key: value for key, value in decisive(resolved(self.config)).items() if key in read}
        plugins = {name: file_sha1(Path(str(sys.modules[name].__file__))) for name in self.config.plugins}
        return {
            "command": self.command, "robsynth": __version__, "device": self.machine.device.type,
            "precision": self.machine.precision, **self.depends, **plugins, **dict(_contents(read)), "config": settings,
        }  # fmt: skip

    @cached_property
    def name(self) -> str:
        config = self.config
        parts = [getattr(config, "experiment", None), getattr(config, "scale", None), self.command]
        named = ["samples", config.task] if self.command == "synthesize" else parts
        return "-".join([*filter(None, named), digest(self.identity)])

    @cached_property
    def directory(self) -> Path:
        """Where the run lies. Without `out` its name holds the identity's digest, so that a request finds its run."""
        return Path(self.config.out or Path("outputs") / self.name)

    @cached_property
    def tracking(self) -> Tracking:
        config, tracker = resolved(self.config), self.config.tracker
        return Tracking(RunInfo(self.name, self.command, self.started, self.directory, config, tracker), self.listener)

    @cached_property
    def data(self) -> DataSet:
        """The images that the run is about."""
        return load_data(self.data_settings)

    @property
    def data_settings(self) -> Any:
        config = self.config
        return config.dataset if hasattr(config, "dataset") else config.reference

    @cached_property
    def sizes(self) -> Sizes:
        """How many they are, which is known without loading them."""
        return sizes_of(self.data_settings)

    @cached_property
    def images(self) -> ImageSpec:
        """The data's images as a classifier takes them."""
        data = self.data
        return ImageSpec(data.name, data.label_names, data.shape, *normalisation(data, self.data_settings))

    def checkpoint(self, training: str) -> Path:
        """What a stage of this run has trained."""
        return self.directory / self.results[f"train {training}"]["checkpoint"]

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """What several stages use, made by the first that asks."""
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]

    def open(self, checkpoint: Path, key: str = "checkpoint") -> tuple[Classifier, dict[str, Any]]:
        """One of our own classifiers."""
        return self.kept(str(checkpoint), lambda: load_classifier(checkpoint, key, self.machine.device))

    def relative(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()


def open_context(command: str, config: Any, listener: Listener | None = None, with_data: bool = False) -> Context:
    """The context of a command; `with_data` loads the data at once, so that the run is known by them."""
    context = Context(command, config, resolve_machine(config.device, config.precision), listener or Listener())
    if with_data:
        data = processes.first_then_others(lambda: context.data)
        context.depends["data"] = data.fingerprint
    return context


def _contents(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The files that settings name, each by its key and a digest of what it holds."""
    for key, value in settings.items() if isinstance(settings, dict) else vars(settings).items():
        if is_dataclass(value) or isinstance(value, dict):
            yield from _contents(value, f"{prefix}{key}.")
            continue
        for place, one in enumerate(value if isinstance(value, list) else [value]):
            where = f"{prefix}{key}" + (f"[{place}]" if isinstance(value, list) else "")
            if is_dataclass(one):
                yield from _contents(one, f"{where}.")
            elif key in CHECKPOINTS and isinstance(one, str):
                yield where, file_sha1(find_checkpoint(one, where))
            elif key in FILES and isinstance(one, str) and Path(one).exists():
                yield where, path_digest(Path(one))
