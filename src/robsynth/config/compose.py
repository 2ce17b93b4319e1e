"""From the words of a command line to a checked configuration, by Hydra."""

import dataclasses
import difflib
import json
import re
from typing import Any, cast, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from safetensors import safe_open

from robsynth.config.commands import COMMANDS, Common, Config, SweepConfig
from robsynth.config.fields import check
from robsynth.config.help import SHORT
from robsynth.config.registry import ARCHITECTURES, bundles, config_directory, load_plugins, options
from robsynth.config.tasks import TASKS, TaskSettings
from robsynth.errors import RequestError

EMBEDDED = "mnist5k"


def load_config(command: str, overrides: list[str]) -> Any:
    """The dataclass that a command's configuration and the overrides compose to, checked.

    `task=NAME` picks one of `tasks`, and `task.KEY=VALUE` is short for `tasks.NAME.KEY=VALUE`: the settings
    have one home, which experiments and scales change too. A classifier brings what goes with it, and an experiment
    the scale that it was made for, unless others are given.

    Raises
    ------
    RequestError
        One line that names the key, what was found and what is allowed.
    """
    root = COMMANDS[command].config
    given = dict(map(_pair, overrides))
    if issubclass(root, Common):
        load_plugins(re.findall(r"[^][,'\" ]+", given.get("plugins", "")))
    if root is Config:
        task = f"tasks.{given.get('task', 'generation')}."
        given = {re.sub(r"^task\.", task, key): value for key, value in (_brought(given) | given).items()}
    if command == "train" and given.get("classifier.checkpoint", "null") != "null":
        raise RequestError(
            "checkpoint: `robsynth train` makes a new one; allowed: recipe.start=FILE begins from its weights"
        )
    for key in given:
        _check_key(key, command)
    try:
        config = _compose("config" if root is Config else command, root, given)
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
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(config)))


def to_yaml(config: Any) -> str:
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _pair(word: str) -> tuple[str, str]:
    """A word's key, written out, and its value."""
    key, equals, value = word.partition("=")
    if word[:1] in ("+", "~"):
        raise RequestError(f"{word}: keys can neither be added nor removed; allowed: KEY=VALUE")
    if not equals:
        raise RequestError(f"{word}: not understood; allowed: KEY=VALUE")
    return SHORT.get(key, key), value


def _brought(given: dict[str, str]) -> dict[str, str]:
    """What goes with a classifier: its experiment, or its data set, or the settings for that; an experiment's scale.

    Without any of these it is the experiment of the embedded data set.
    """
    known, found, name = options("experiment"), {}, given.get("classifier.checkpoint", given.get("classifier", ""))
    dataset, side = _trained_on(name)
    if name in known:
        found["experiment"] = name
    elif "experiment" not in given and "dataset" not in given:
        found |= {"dataset": dataset} if dataset not in ("", EMBEDDED) else {"experiment": EMBEDDED}
    if given.get("dataset") == "none" and dataset:
        found |= {"settings": f"{given.get('scale', 'laptop')}/{dataset}", "dataset.size": str(side)}
    if (experiment := (found | given).get("experiment")) in known:
        found["scale"] = OmegaConf.load(config_directory() / "experiment" / f"{experiment}.yaml").scale
    return found


def _trained_on(checkpoint: str) -> tuple[str, int]:
    """Which data set of those here a checkpoint of ours was trained on, and their side; what is wrong is told later."""
    try:
        with safe_open(bundles().get(checkpoint, checkpoint), "np") as file:
            about = json.loads(file.metadata()["robsynth"])["about"]
        return (about["dataset"] if about["dataset"] in options("dataset") else ""), about["shape"][-1]
    except Exception:
        return "", 0


def _check_key(key: str, command: str) -> None:
    """Refuse what is no setting of the command, with the name nearest to it."""
    about = COMMANDS[command]
    kind: Any = about.config
    where = ""
    for name in key.split("."):
        names = _below(kind)
        if names is None:
            break
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {where}{close[0]}? " if close else ""
            allowed = ", ".join(where + name for name in sorted(names)) or where.rstrip(".")
            raise RequestError(f"{key}: no such key; {hint}allowed: {allowed}")
        kind, where = names[name], f"{where}{name}."
    first = key.split(".")[0]
    if first not in about.keys:
        raise RequestError(f"{first}: `robsynth {command}` does not read it; allowed: {', '.join(sorted(about.keys))}")


def _below(kind: Any) -> dict[str, Any] | None:
    """The settings below one of this type, with their types; None where any name may stand."""
    if dataclasses.is_dataclass(kind):
        return {item.name: item.type for item in dataclasses.fields(kind)}
    if get_origin(kind) is dict:
        return TASKS if TaskSettings in get_args(kind) else None
    return {}


def _compose(name: str, root: type, given: dict[str, str]) -> Any:
    """What Hydra makes of the schema, which plugins may have extended, the files of conf/ and what is given."""
    store = ConfigStore.instance()
    store.store(name=f"{name}_schema", node=root)
    for arch in set(ARCHITECTURES) - {path.stem for path in (config_directory() / "classifier").glob("*.yaml")}:
        store.store(group="classifier", name=arch, node={"arch": arch})
    groups = {item.name: item.metadata["group"] for item in dataclasses.fields(root) if "group" in item.metadata}
    # As Hydra wants keys whose files lie in the group of another.
    written = {key: f"{group}@{key}" for key, group in groups.items() if group != key}
    # Text is taken as it stands, since in Hydra's grammar a path would need quotes.
    text = {item.name for item in dataclasses.fields(root) if item.type in (str, str | None)} - groups.keys()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        composed = compose(name, [f"{written.get(key, key)}={given[key]}" for key in given if key not in text])
    for key in text & given.keys():
        composed[key] = None if given[key] == "null" else re.sub(r"^(['\"])(.*)\1$", r"\2", given[key])
    return OmegaConf.to_object(composed)


def _scaled(side: int | None, at_32: float) -> float:
    """`${scaled:SIDE,LENGTH}`: a length in the image or in its L2 norm, given at 32 pixels, for images of that side."""
    if side is None:
        raise RequestError("dataset.size: none given, but lengths grow with it here; allowed: a number >= 8")
    found = at_32 * side / 32
    return max(1, round(found)) if isinstance(at_32, int) else found


def _choose(key: Any, entries: dict[Any, Any]) -> Any:
    """`${choose:KEY,{A:1,B:2}}`: the entry for KEY, or for "default"; some settings are known for a few cases only."""
    for name in (key, "default"):
        if name in entries:
            return entries[name]
    allowed = ", ".join("null" if name is None else str(name) for name in entries)
    raise ValueError(f"no setting of this scale for {key}; allowed: {allowed}")


OmegaConf.register_new_resolver("choose", _choose, replace=True)
OmegaConf.register_new_resolver("scaled", _scaled, replace=True)


def _in_one_line(error: BaseException, words: list[str]) -> str:
    """What a failure to compose is about, from what the exceptions know beside their texts."""
    chain = [error]
    # OmegaConf raises what came of another as if it had no cause.
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    for one in sorted(chain, key=lambda one: not isinstance(one, RequestError)):
        if isinstance(one, RequestError):
            return str(one)
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
