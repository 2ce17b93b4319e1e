"""From the words of a command line to a checked configuration, by Hydra."""

import difflib
import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import robsynth
from robsynth.config import (
    TASKS,
    USES,
    Config,
    ConvertConfig,
    DoctorConfig,
    EvaluateConfig,
    ReportConfig,
    RunsConfig,
    StatisticsConfig,
    SweepConfig,
    check,
)  # fmt: skip
from robsynth.errors import RequestError

# The file in conf/ and the dataclass of each configuration.
ROOTS = {
    "config": Config,
    "evaluate": EvaluateConfig,
    "statistics": StatisticsConfig,
    "report": ReportConfig,
    "runs": RunsConfig,
    "sweep": SweepConfig,
    "convert": ConvertConfig,
    "doctor": DoctorConfig,
}
# Keys with a string for a value that have the name of a group of files, in which Hydra would look for the value.
PLAIN = {"config": ("task",), "evaluate": ("samples", "judge"),
         "runs": ("experiment", "dataset", "where", "sort")}  # fmt: skip


def config_directory() -> Path:
    """`conf/` of the clone, or of the installed package."""
    package = Path(robsynth.__file__).parent
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.is_dir())


def _register() -> None:
    store = ConfigStore.instance()
    for name, node in ROOTS.items():
        store.store(name=f"{name}_schema", node=node)
    for name, settings in TASKS.items():
        store.store(group="task", name=f"{name}_schema", node=settings)
    OmegaConf.register_new_resolver("choose", _choose, replace=True)
    OmegaConf.register_new_resolver("scaled", _scaled, replace=True)


def _scaled(side: int | None, at_32: float) -> float:
    """`${scaled:SIDE,LENGTH}`: a length in the image or in its L2 norm, given at 32 pixels, for images of that side."""
    found = at_32 if side is None else at_32 * side / 32
    return max(1, round(found)) if isinstance(at_32, int) else found


def _choose(key: Any, entries: dict[Any, Any]) -> Any:
    """`${choose:KEY,{A:1,B:2}}`: the entry for KEY, or for "default"; some settings are known for a few cases only."""
    by_name = {"null" if name is None else str(name): entry for name, entry in entries.items()}
    name = "null" if key is None else str(key)
    if name not in by_name and "default" not in by_name:
        raise ValueError(f"no setting of this scale for {name}; allowed: {', '.join(by_name)}")
    return by_name.get(name, by_name.get("default"))


def load_config(command: str, overrides: list[str]) -> Any:
    """The dataclass that a command's configuration and the overrides compose to, checked.

    `task=NAME` picks one of `tasks`, and `task.KEY=VALUE` is short for `tasks.NAME.KEY=VALUE`: the settings
    have one home, which experiments and scales change too. A classifier that ships with the package brings the
    experiment of its name, and an experiment the scale that it was made for, unless others are given.

    Raises
    ------
    RequestError
        One line that names the key, what was found and what is allowed.
    """
    _register()
    root = "config" if command in USES else command
    words = [_full_key(word) for word in overrides]
    if root == "config":
        words = _expand_task(_with_what_it_brings(words))
    for word in words:
        _check_word(word, command)
    config = _compose(root, words)
    check(config)
    return config


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of a command line of `sweep` that are its own, and those of its jobs."""
    own = [word for word in words if word.split("=")[0].split(".")[0] in SweepConfig.__dataclass_fields__]
    return own, [word for word in words if word not in own]


# What a word of the command line is short for.
SHORT = {"checkpoint": "classifier.checkpoint", "originals": "dataset@originals", "reference": "dataset@reference"}


def _full_key(word: str) -> str:
    key, equals, value = word.partition("=")
    return SHORT.get(key, key) + equals + value


def _with_what_it_brings(words: list[str]) -> list[str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    experiments = config_directory() / "experiment"
    brought = []
    if "experiment" not in given and (experiments / f"{given.get('classifier')}.yaml").is_file():
        brought.append(f"experiment={given['classifier']}")
        given["experiment"] = given["classifier"]
    own = experiments / f"{given.get('experiment')}.yaml"
    if "scale" not in given and own.is_file() and (scale := _own_scale(own)):
        brought.append(f"scale={scale}")
    return brought + words


def _own_scale(experiment: Path) -> str | None:
    content = OmegaConf.to_container(OmegaConf.load(experiment))
    return content.get("scale") if isinstance(content, dict) else None


def _expand_task(overrides: list[str]) -> list[str]:
    named = [override.removeprefix("task=") for override in overrides if override.startswith("task=")]
    task = named[-1] if named else "generation"
    if task not in TASKS:
        raise RequestError(f"task: found {task!r}, allowed: {', '.join(TASKS)}")
    return [
        override.replace("task.", f"tasks.{task}.", 1) if override.startswith("task.") else override
        for override in overrides
    ]


def _check_word(word: str, command: str) -> None:
    if word[:1] in ("+", "~"):
        raise RequestError(f"{word}: keys can neither be added nor removed; allowed: KEY=VALUE")
    if "=" not in word:
        raise RequestError(f"{word}: not understood; allowed: KEY=VALUE")
    if command == "train" and word.startswith("classifier.checkpoint=") and not word.endswith("=null"):
        raise RequestError(
            "checkpoint: `robsynth train` makes a new one; allowed: recipe.start=FILE begins from its weights"
        )
    key = word.split("=")[0].split(".")[0].split("@")[0]
    key = "originals" if word.startswith("dataset@originals") else key
    uses = USES.get(command, ())
    if uses and key not in uses and key in Config.__dataclass_fields__:
        raise RequestError(f"{key}: `robsynth {command}` does not read it; allowed: {', '.join(sorted(uses))}")


def _compose(root: str, overrides: list[str]) -> Any:
    plain = {
        key: word.split("=", 1)[1] for word in overrides for key in PLAIN.get(root, ()) if word.startswith(f"{key}=")
    }
    for_hydra = [word for word in overrides if word.split("=")[0] not in plain]
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = OmegaConf.to_object(compose(root, for_hydra))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise RequestError(_in_one_line(error, root, overrides)) from error
    for key, value in plain.items():
        setattr(config, key, None if value == "null" else value)
    return config


def resolved(config: Any) -> dict[str, Any]:
    """A configuration as a plain dictionary."""
    found = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def to_yaml(config: Any) -> str:
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _in_one_line(error: Exception, root: str, overrides: list[str]) -> str:
    """Hydra's message with the key first, and the key's neighbours where it does not exist."""
    text = str(error)
    if cause := error.__cause__:
        text += f"\n{cause}"
    if found := re.search(r"Could not override '([^']+)'", text):
        return f"{found[1]}: no such key; {_neighbours(found[1], root)}"
    if found := re.search(r"Key '([^']+)' (?:is not in struct|not in)", text):
        full = re.search(r"full_key: (\S+)", text)
        key = full[1] if full else found[1]
        return f"{key}: no such key; {_neighbours(key, root)}"
    if found := re.search(r"Could not find '([^']+)'\s*Available options in '[^']*':\n((?:\t.*\n?)*)", text):
        group, _, option = found[1].rpartition("/")
        allowed = [name for name in found[2].split() if not name.endswith("_schema")]
        return f"{group}: found {option!r}, allowed: {', '.join(allowed)}"
    if found := re.search(r"raised while resolving interpolation: (.+)\n\s*full_key: (\S+)", text):
        return f"{found[2]}: {found[1]}"
    if found := re.search(r"(Value .+|Incompatible value .+|Invalid .+)\n(?:.*\n)*?\s*full_key: (\S+)", text):
        return f"{found[2]}: {found[1]}"
    return f"{' '.join(overrides)}: {' '.join(text.split())}"


def _neighbours(key: str, root: str) -> str:
    """The keys that exist where `key` was looked for, the likeliest one first."""
    node: Any = OmegaConf.structured(_compose(root, []))
    *parents, last = key.split(".")
    where = ""
    for parent in parents:
        below = node.get(parent) if OmegaConf.is_dict(node) and parent in node else None
        if not OmegaConf.is_dict(below) or not below:
            break
        node, where = below, f"{where}{parent}."
    names = sorted(str(name) for name in node)
    close = difflib.get_close_matches(last, names, 1)
    hint = f"did you mean {where}{close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(where + name for name in names)}"
