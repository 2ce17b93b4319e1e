"""From the words of a command line to a checked configuration, by Hydra."""

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from robsynth.config.commands import COMMANDS, Common, Config, SweepConfig
from robsynth.config.fields import check
from robsynth.config.groups import config_directory, options
from robsynth.config.help import SHORT
from robsynth.config.registry import ARCHITECTURES, TASKS, load_plugins
from robsynth.config.tasks import TaskSettings
from robsynth.errors import RequestError

EMBEDDED = "mnist5k"


def load_config(command: str, overrides: list[str]) -> Any:
    """The dataclass that a command's configuration and the overrides compose to, checked.

    `task=NAME` picks one of `tasks`, and `task.KEY=VALUE` is short for `tasks.NAME.KEY=VALUE`: the settings
    have one home, which experiments and scales change too. A classifier that ships with the package brings the
    experiment of its name, and an experiment the scale that it was made for, unless others are given. Without an
    experiment and a data set it is the experiment of the embedded one.

    Raises
    ------
    RequestError
        One line that names the key, what was found and what is allowed.
    """
    root = COMMANDS[command].config
    words = [_written_out(word) for word in overrides]
    if issubclass(root, Common):
        load_plugins(_modules(words))
    if root is Config:
        words = _with_what_it_brings(_of_the_task(words))
    for word in words:
        _check_word(word, command)
    try:
        config = _compose(command, root, words)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise RequestError(_in_one_line(error, overrides)) from error
    check(config)
    return config


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of a command line of `sweep` that are its own, and those of its jobs."""
    own = [word for word in words if word.split("=")[0].split(".")[0] in SweepConfig.__dataclass_fields__]
    return own, [word for word in words if word not in own]


def resolved(config: Any) -> dict[str, Any]:
    """A configuration as a plain dictionary."""
    found = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def to_yaml(config: Any) -> str:
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _written_out(word: str) -> str:
    key, equals, value = word.partition("=")
    return SHORT.get(key, key) + equals + value


def _modules(words: list[str]) -> list[str]:
    given = [word.removeprefix("plugins=") for word in words if word.startswith("plugins=")]
    return [name.strip(" '\"") for value in given for name in value.strip("[] ").split(",") if name]


def _of_the_task(words: list[str]) -> list[str]:
    task = next((word.removeprefix("task=") for word in reversed(words) if word.startswith("task=")), "generation")
    if task not in TASKS:
        raise RequestError(f"task: found {task!r}, allowed: {', '.join(TASKS)}")
    return [word.replace("task.", f"tasks.{task}.", 1) if word.startswith("task.") else word for word in words]


def _with_what_it_brings(words: list[str]) -> list[str]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    brought = {}
    if "experiment" not in given:
        if given.get("classifier") in options("experiment"):
            brought["experiment"] = given["classifier"]
        elif "dataset" not in given:
            brought["experiment"] = EMBEDDED
    experiment = (brought | given).get("experiment")
    if "scale" not in given and experiment in options("experiment"):
        brought["scale"] = OmegaConf.load(config_directory() / "experiment" / f"{experiment}.yaml").scale
    return [*(f"{key}={value}" for key, value in brought.items()), *words]


def _check_word(word: str, command: str) -> None:
    """Refuse what is no setting of the command, with the names nearest to it."""
    if word[:1] in ("+", "~"):
        raise RequestError(f"{word}: keys can neither be added nor removed; allowed: KEY=VALUE")
    key, equals, value = word.partition("=")
    if not equals:
        raise RequestError(f"{word}: not understood; allowed: KEY=VALUE")
    if command == "train" and key == "classifier.checkpoint" and value != "null":
        raise RequestError(
            "checkpoint: `robsynth train` makes a new one; allowed: recipe.start=FILE begins from its weights"
        )
    about = COMMANDS[command]
    # A group of files for a part of the configuration is written GROUP@KEY.
    for path in key.split("@"):
        _check_key(path, about.config)
        first = path.split(".")[0]
        if first not in about.keys:
            allowed = ", ".join(sorted(about.keys))
            raise RequestError(f"{first}: `robsynth {command}` does not read it; allowed: {allowed}")


def _check_key(key: str, root: type) -> None:
    kind: Any = root
    where = ""
    for name in key.split("."):
        names = _below(kind)
        if names is None:
            return
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {where}{close[0]}? " if close else ""
            allowed = ", ".join(where + name for name in sorted(names)) or where.rstrip(".")
            raise RequestError(f"{key}: no such key; {hint}allowed: {allowed}")
        kind, where = names[name], f"{where}{name}."


def _below(kind: Any) -> dict[str, Any] | None:
    """The settings below one of this type, with their types; None where any name may stand."""
    if dataclasses.is_dataclass(kind):
        return {item.name: item.type for item in dataclasses.fields(kind)}
    if get_origin(kind) is dict:
        return TASKS if TaskSettings in get_args(kind) else None
    return {}


def _compose(command: str, root: type, words: list[str]) -> Any:
    name = "config" if root is Config else command
    _register(name, root)
    fields = {item.name: item for item in dataclasses.fields(root)}
    # Text is taken as it stands, since in Hydra's grammar a path would need quotes.
    text = {key for key, item in fields.items() if item.type in (str, str | None) and "group" not in item.metadata}
    given = [word.partition("=")[::2] for word in words]
    for_hydra = [f"{_with_group(fields.get(key), key)}={value}" for key, value in given if key not in text]
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        composed = compose(name, for_hydra)
    for key, value in given:
        if key in text:
            composed[key] = None if value == "null" else value
    return OmegaConf.to_object(composed)


def _with_group(item: dataclasses.Field | None, key: str) -> str:
    """A key as Hydra wants it, where its files lie in the group of another."""
    group = item.metadata.get("group", key) if item else key
    return key if group == key else f"{group}@{key}"


def _register(name: str, root: type) -> None:
    """Tell Hydra the schema, what plugins brought included."""
    store = ConfigStore.instance()
    tasks = {task: settings() for task, settings in TASKS.items()}
    store.store(name=f"{name}_schema", node=Config(tasks=tasks) if root is Config else root)
    for arch in set(ARCHITECTURES) - {path.stem for path in (config_directory() / "classifier").glob("*.yaml")}:
        store.store(group="classifier", name=arch, node={"arch": arch})
    OmegaConf.register_new_resolver("choose", _choose, replace=True)
    OmegaConf.register_new_resolver("scaled", _scaled, replace=True)


def _scaled(side: int | None, at_32: float) -> float:
    """`${scaled:SIDE,LENGTH}`: a length in the image or in its L2 norm, given at 32 pixels, for images of that side."""
    if side is None:
        raise RequestError("dataset.size: none given, but lengths grow with it here; allowed: a number >= 8")
    found = at_32 * side / 32
    return max(1, round(found)) if isinstance(at_32, int) else found


def _choose(key: Any, entries: dict[Any, Any]) -> Any:
    """`${choose:KEY,{A:1,B:2}}`: the entry for KEY, or for "default"; some settings are known for a few cases only."""
    by_name = {"null" if name is None else str(name): entry for name, entry in entries.items()}
    name = "null" if key is None else str(key)
    if name not in by_name and "default" not in by_name:
        raise ValueError(f"no setting of this scale for {name}; allowed: {', '.join(by_name)}")
    return by_name.get(name, by_name.get("default"))


def _in_one_line(error: BaseException, words: list[str]) -> str:
    """What a failure to compose is about, from what the exceptions know beside their texts."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, RequestError):
            return str(one)
    for one in chain:
        if isinstance(one, MissingConfigException) and one.missing_cfg_file:
            group, _, option = one.missing_cfg_file.partition("/")
            allowed = ", ".join(options(group))
            if group == "settings":
                return f"settings: found none for {option}; allowed with settings=NAME, another's: {allowed}"
            return f"{group}: found {option!r}, allowed: {allowed}"
        if isinstance(one, OmegaConfBaseException) and one.full_key:
            # What a resolver raised stands at the end.
            found = chain[-1] if isinstance(one, InterpolationResolutionError) else one
            return f"{one.full_key}: {str(found).splitlines()[0]}"
    return f"{' '.join(words)}: {' '.join(str(error).split())}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # OmegaConf raises what came of another as if it had no cause.
        error = error.__cause__ or error.__context__
