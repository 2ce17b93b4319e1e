"""Checkpoints of the authors' library (PyPI `robustness`), and bare weights under the same or torchvision's names.

The library saves a dictionary whose entry `model` (before: `state_dict`) holds its `AttackerModel` in a
`DataParallel`: the network twice, as `module.model.` and `module.attacker.model.`, and the normalisation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from robsynth.classifiers.classifier import Classifier
from robsynth.classifiers.pickles import Unreadable, load_safely, load_trusting
from robsynth.errors import RequestError

# The library's names of the CIFAR networks, and torchvision's, as ours.
RENAMED = ((r"^(?:linear|fc)\.", "head."), (r"\.shortcut\.", ".downsample."), (r"^(?!head\.)", "features."))


@dataclass(frozen=True)
class ForeignWeights:
    """What a checkpoint says: tensors by our names, where each came from, and the normalisation if it has one."""

    tensors: dict[str, Tensor]
    origin: dict[str, str]
    mean: list[float] | None
    std: list[float] | None

    @property
    def classes(self) -> int | None:
        head = self.tensors.get("head.weight")
        return None if head is None else len(head)


def read_weights(path: Path, convert: str, key: str = "checkpoint", trust: bool = False) -> ForeignWeights:
    """The weights in a file of `torch.save`. Unless `trust` is given nothing in it is executed.

    Raises
    ------
    RequestError
        If the file is missing, or no weights can be read from it; the message gives the command `convert`.
    """
    if not path.is_file():
        raise RequestError(f"{key}: no file {path}")
    try:
        return _weights(_state(load_trusting(path) if trust else load_safely(path)))
    except Unreadable as error:
        if trust:
            raise RequestError(f"{key}: {path} holds no weights that could be read ({error})") from None
        raise RequestError(
            f"{key}: {path} cannot be read safely ({error}); if it is whole and you trust its maker: {convert}"
        ) from None


def _state(content: Any) -> dict[str, Tensor]:
    """The named tensors in what a checkpoint holds."""
    if isinstance(content, Mapping):
        content = content.get("model", content.get("state_dict", content))
    if isinstance(content, nn.Module):
        content = content.state_dict()
    named = content.items() if isinstance(content, Mapping) else ()
    tensors = {name: value for name, value in named if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise Unreadable("it holds no tensors with names")
    return tensors


def _weights(state: dict[str, Tensor]) -> ForeignWeights:
    bare = {name: name.removeprefix("module.") for name in state}
    network = {}
    for prefix in ("model.", "attacker.model.", ""):
        network = {name: short.removeprefix(prefix) for name, short in bare.items() if short.startswith(prefix)}
        if network:
            break
    origin = {_renamed(short): name for name, short in network.items()}
    values = {short: state[name] for name, short in bare.items()}
    mean, std = (values.get(f"normalizer.new_{what}") for what in ("mean", "std"))
    return ForeignWeights(
        {ours: state[name] for ours, name in origin.items()},
        origin,
        None if mean is None else mean.flatten().tolist(),
        None if std is None else std.flatten().tolist(),
    )


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def fill(network: Classifier, weights: ForeignWeights, what: str) -> None:
    """Copy the weights into `network`, every one of them; its own normalisation stays.

    Raises
    ------
    RequestError
        It begins with `what` and names the first weight that is missing, too many, or of another shape.
    """
    own = {name: value for name, value in network.state_dict().items() if name not in ("mean", "std")}
    given = weights.tensors
    # Files older than torch 0.4.1 have no such counters, and nothing here reads them.
    missing = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    if missing:
        raise RequestError(f"{what}: {missing[0].removeprefix('features.')} is missing")
    for name, value in given.items():
        if name not in own:
            raise RequestError(f"{what}: {weights.origin[name]} has no place in it")
        if value.shape != own[name].shape:
            raise RequestError(f"{what}: {weights.origin[name]} is {_size(value)}, allowed: {_size(own[name])}")
    network.load_state_dict(given, strict=False)


def _size(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"
