"""Which of a run's processes this is, and how they wait for one another.

Every process of a run executes the same command (SPMD): each works on its share of images, rank 0 alone writes
records. A run of one process needs none of this, and none of it imports torch.distributed then.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")
Network = TypeVar("Network", bound="nn.Module")


def rank() -> int:
    """The number of this process among the run's, from 0."""
    return 0


def count() -> int:
    """How many processes the run has."""
    return 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process of the run is here."""


def from_first(value: T) -> T:
    """What rank 0 passed, in every process; the others' value is ignored."""
    return value


def mine(numbers: Sequence[int]) -> list[int]:
    """This process's share of numbered pieces of work, none of them padded or done twice.

    A piece belongs to the process `number % count()`, whatever else is still to be done: so processes that look at
    different moments agree.
    """
    return [number for number in numbers if number % count() == rank()]


def total(values: "torch.Tensor") -> "torch.Tensor":
    """The sum over all processes of a tensor of one shape, without a graph; the same in every process."""
    return values


def gathered(rows: "torch.Tensor") -> "torch.Tensor":
    """The rows (n, ...) of all processes in the order of their ranks; n may differ from process to process."""
    return rows


def any_asks(this: bool) -> bool:
    """Whether any process passed True; the same in every process."""
    return this


def synchronised(network: Network) -> Network:
    """The same network, whose batch norms in training take their statistics over all processes."""
    return network


def lightning_arguments(device: "torch.device") -> dict[str, Any]:
    """What Lightning's Trainer has to be told of the run's processes: accelerator, devices, nodes, strategy."""
    return only_this(device)


def only_this(device: "torch.device") -> dict[str, Any]:
    """The same for a Trainer in this process alone, whatever others there are."""
    return {"accelerator": "gpu" if device.type == "cuda" else "cpu", "devices": 1}
