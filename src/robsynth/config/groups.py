"""The files of conf/, of which a group is chosen by name."""

from pathlib import Path

import robsynth
from robsynth.config.registry import ARCHITECTURES


def config_directory() -> Path:
    """`conf/` of the clone, or of the installed package."""
    package = Path(robsynth.__file__).parent
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.is_dir())


def options(group: str) -> list[str]:
    """What may be chosen of a group: its files but for parts of others (with an underscore), and what plugins add."""
    directory = config_directory() / group
    found = [path.relative_to(directory).with_suffix("") for path in directory.rglob("[!_]*.yaml")]
    added = ARCHITECTURES if group == "classifier" else ()
    return sorted({*(path.as_posix() for path in found), *added})
