"""Which of a run's processes this is, and how they wait for one another.

Every process of a run executes the same command (SPMD): each works on its share of images, rank 0 alone writes
records. A run of one process needs none of this, and none of it imports torch.distributed then.

Two rules keep the processes together. What one of them does alone it does within `once`, where it is the only
process there is: what it calls shares its work with nobody and waits for nobody. And a process that fails leaves: the
others find its connection closed, at the next moment at which they would wait for it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from robsynth.errors import status_of

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
# The others wait while rank 0 measures or draws, which may take it days; they meet, and train, in step.
PATIENCE, MEETING = timedelta(days=30), timedelta(minutes=30)
# How the names of the launches begin that this package made itself.
LAUNCHED = "robsynth-"


class Elsewhere(Exception):
    """Another process of the run has failed, and says so itself; `status` is what to exit with."""

    def __init__(self, status: int) -> None:
        super().__init__("another process of the run failed")
        self.status = status


@dataclass(frozen=True)
class Group:
    """The processes of a run; those on this machine have these `devices`, in the order of their local ranks.

    `words` is the process group in which objects are passed, on CPUs whatever the device.
    """

    rank: int
    count: int
    devices: "list[torch.device]"
    environment: Any
    words: Any


# Of this process; None where it is the only one.
_group: Group | None = None
# Whether it is within `once`.
_alone = False


def group() -> Group | None:
    """The processes that share work here; None where this is the only one."""
    return None if _alone else _group


def rank() -> int:
    """The number of this process among the run's, from 0."""
    return _group.rank if _group else 0


def count() -> int:
    """Among how many processes work is shared here: those of the run, or one within `once`."""
    return these.count if (these := group()) else 1


def started() -> int:
    """How many processes the run has, also within `once`."""
    return _group.count if _group else 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def _together(work: Callable[[Any, Group], object]) -> None:
    """Let all processes do `work` with torch.distributed; where this is the only one, nothing."""
    if (these := group()) is None:
        return
    import torch.distributed as dist

    with others_stay():
        work(dist, these)


def barrier() -> None:
    """Wait until every process of the run is here."""
    _together(lambda dist, these: dist.barrier(these.words))


def from_first(value: T) -> T:
    """What rank 0 passed, in every process; the others' value is ignored."""
    held = [value]
    _together(lambda dist, these: dist.broadcast_object_list(held, 0, these.words))
    return held[0]


def total(values: "torch.Tensor") -> "torch.Tensor":
    """The sum over all processes of a tensor of one shape, without a graph; the same in every process."""
    found = values.detach().clone()
    _together(lambda dist, these: dist.all_reduce(found, group=these.words if found.device.type == "cpu" else None))
    return found


def gathered(rows: "torch.Tensor") -> "torch.Tensor":
    """The rows (n, ...) of all processes in the order of their ranks; n may differ from process to process."""
    import torch

    found = [rows.detach().cpu()] * count()
    _together(lambda dist, these: dist.all_gather_object(found, found[0], these.words))
    return torch.cat(found).to(rows.device)


def any_asks(this: bool) -> bool:
    """Whether any process passed True; the same in every process."""
    import torch

    return bool(total(torch.tensor(float(this))))


def once(work: Callable[[], T]) -> T:
    """What `work` returns, done by rank 0 while the others wait; if it fails they fail with it.

    Within it rank 0 is the only process: `count` is 1, and nothing waits.
    """
    global _alone
    if group() is None:
        return work()
    value: Any = None
    failure = None
    if is_first():
        _alone = True
        try:
            value = work()
        except Exception as error:
            failure = error
        finally:
            _alone = False
    value, status = from_first((value, status_of(failure) if failure else 0))
    if status:
        raise failure or Elsewhere(status)
    return value


def first_then_others(work: Callable[[], T]) -> T:
    """What `work` returns in each process, in rank 0 before the others, which find what it left on disk."""
    kept: list[T] = []
    once(lambda: kept.append(work()))
    return kept[0] if kept else work()


def mine(numbers: Sequence[int]) -> list[int]:
    """This process's share of numbered pieces of work, none of them padded or done twice.

    A piece belongs to the process `number % count()`, whatever else is still to be done: so processes that look at
    different moments agree.
    """
    return [number for number in numbers if number % count() == rank()]


@contextmanager
def joined(environment: Any, local_count: int, device: "torch.device") -> Iterator[None]:
    """This process as one of those that a cluster's environment (one of Lightning's) tells of.

    On GPUs each has one, of those that it sees: where a cluster shows every process its own alone, that is number 0.
    A process that leaves with an error says goodbye to nobody: so the others cannot wait for it.
    """
    global _group
    import torch
    import torch.distributed as dist

    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    backend, devices = "gloo", [device] * local_count
    if device.type == "cuda":
        backend, seen = "nccl", torch.cuda.device_count()
        devices = [torch.device("cuda", number % seen) for number in range(local_count)]
        torch.cuda.set_device(devices[environment.local_rank()])
    own, of = environment.global_rank(), environment.world_size()
    with others_stay():
        dist.init_process_group(backend, rank=own, world_size=of, timeout=MEETING)
        _group = Group(own, of, devices, environment, dist.new_group(backend="gloo", timeout=PATIENCE))
        yield
    dist.destroy_process_group()
    _group = None


def leave_word(line: str) -> bool:
    """Leave a complaint to the process that started this one and speaks for all; False where there is none."""
    if not os.environ.get("TORCHELASTIC_RUN_ID", "").startswith(LAUNCHED):
        return False
    with open(os.environ["TORCHELASTIC_ERROR_FILE"], "w") as file:
        json.dump({"message": line, "timestamp": int(time.time())}, file)
    return True


# What the libraries below say when a connection is closed at its other end.
_GONE = ("gloo", "ncclremoteerror", "connection closed", "connection reset", "connection refused", "broken pipe")


@contextmanager
def others_stay() -> Iterator[None]:
    """Turns the error of a connection that another process left into `Elsewhere`: it was not this one's fault."""
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error).lower() for word in _GONE):
            raise Elsewhere(1) from error
        raise
