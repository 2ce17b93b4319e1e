"""A second device that needs no driver, on which whatever mixes devices fails.

Tensors on torch's `meta` device have shapes and no values. Gradients work on it. Operations on tensors of two devices
are errors there as on a GPU, but for convolutions, products of matrices and indexing, which are made so here. What
reads values back has none to read: here, and only here, it reads zeros. Whoever asks whether any or all are true is
told yes: so what is done only for some values is done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")


def _zeros(x: Tensor) -> Tensor:
    return torch.zeros(x.shape, dtype=x.dtype)


def _reads(method: str) -> Any:
    """A method of tensors that reads values: zeros of those that have none."""
    plain = getattr(Tensor, method)

    def read(x: Tensor, *arguments: Any, **named: Any) -> Any:
        return plain(_zeros(x) if x.is_meta else x, *arguments, **named)

    return read


def _yes(method: str) -> Any:
    """`any` or `all` over a whole tensor."""
    plain = getattr(Tensor, method)

    def ask(x: Tensor, *arguments: Any, **named: Any) -> Any:
        return torch.tensor(True) if x.is_meta and not (arguments or named) else plain(x, *arguments, **named)

    return ask


def _to(plain: Any) -> Any:
    def to(x: Tensor, *arguments: Any, **named: Any) -> Tensor:
        aims = [*arguments, *named.values()]
        away = [aim.device if isinstance(aim, Tensor) else aim for aim in aims]
        leaves = x.is_meta and any(
            torch.device(aim).type == "cpu" for aim in away if isinstance(aim, str | torch.device)
        )
        return plain(_zeros(x) if leaves else x, *arguments, **named)

    return to


class OneDevice(TorchDispatchMode):
    """Operations are of tensors that lie together, as on a GPU.

    Copies go from one device to another, numbers are anywhere, and what lies there may be indexed from the CPU.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        devices = {tensor.device.type for tensor in tensors}
        allowed = func.overloadpacket is torch.ops.aten.copy_
        allowed |= func.overloadpacket is torch.ops.aten.index and args[0].is_meta
        if len(devices) > 1 and not allowed:
            raise RuntimeError(f"{func}: tensors on {' and '.join(sorted(devices))}")
        return func(*args, **(kwargs or {}))


@contextmanager
def values_read_as_zeros() -> Iterator[None]:
    """Inside, tensors on `meta` can be read, and nothing that lies elsewhere meets them."""
    methods = ("cpu", "item", "tolist", "numpy", "__bool__", "__float__", "__int__")
    changed = {method: _reads(method) for method in methods} | {method: _yes(method) for method in ("any", "all")}
    changed["to"] = _to(Tensor.to)
    with patch.multiple(Tensor, **changed), OneDevice():
        yield
