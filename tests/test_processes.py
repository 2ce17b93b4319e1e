"""A run of several processes: they do what one does, and end together."""

import os
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from robsynth import processes
from robsynth.errors import RequestError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[dict]:
    """What each of two real processes says, which find one another through `processes`."""
    directory = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_one_of_two, (directory, port), nprocs=2)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(2)]


def _one_of_two(rank: int, directory: Path, port: int) -> None:
    from lightning_fabric.plugins.environments import TorchElasticEnvironment

    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "localhost", **{name: str(number) for name, number in numbers.items()}})
    torch.set_num_threads(1)
    with processes.joined(TorchElasticEnvironment(), 2, CPU):
        torch.save({"words": _talk(), "norms": _normalise()}, directory / f"{rank}.pt")


def _talk() -> dict:
    """Every word that processes have for one another, and a failure that one of them has alone."""
    heard: dict = {"rank": processes.rank(), "count": processes.count(), "mine": processes.mine([0, 1, 2, 5, 6])}
    heard["first"] = processes.from_first(f"of {processes.rank()}")
    heard["total"] = processes.total(torch.tensor([1.0, processes.rank()])).tolist()
    heard["gathered"] = processes.gathered(torch.full((1 + processes.rank(), 2), float(processes.rank()))).tolist()
    heard["asks"] = (processes.any_asks(processes.rank() == 1), processes.any_asks(False))

    def alone() -> tuple:
        # Waits for nobody, though the others are not here.
        processes.barrier()
        return processes.count(), processes.started(), processes.mine([0, 1, 2]), processes.total(torch.ones(1)).item()

    heard["once"] = processes.once(alone)
    heard["order"] = []
    processes.first_then_others(lambda: heard["order"].append(processes.count()))

    def refuse() -> None:
        raise RequestError("out: no")

    try:
        processes.once(refuse)
    except RequestError as error:
        heard["failure"] = str(error)
    except processes.Elsewhere as failure:
        heard["failure"] = failure.status
    # And they still understand one another.
    heard["after"] = processes.from_first(processes.rank())
    return heard


def test_processes_share_work_and_agree(said):
    first, second = (each["words"] for each in said)
    assert (first["rank"], second["rank"], first["count"], second["count"]) == (0, 1, 2, 2)
    assert (first["mine"], second["mine"]) == ([0, 2, 6], [1, 5])
    for heard in (first, second):
        assert heard["first"] == "of 0"
        assert heard["total"] == [2, 1]
        assert heard["gathered"] == [[0, 0], [1, 1], [1, 1]]
        assert heard["asks"] == (True, False)
        assert heard["once"] == (1, 2, [0, 1, 2], 1)
        assert heard["after"] == 0
    assert (first["order"], second["order"]) == ([1], [2])
    assert (first["failure"], second["failure"]) == ("out: no", 2)


def test_one_process_is_all_there_is():
    assert (processes.rank(), processes.count(), processes.started(), processes.is_first()) == (0, 1, 1, True)
    assert processes.mine([3, 1]) == [3, 1]
    assert processes.from_first("x") == "x"
    assert processes.once(lambda: 5) == processes.first_then_others(lambda: 5) == 5
    assert not processes.any_asks(False)
    network = nn.BatchNorm2d(2)
    assert processes.synchronised(network) is network
    assert processes.lightning_arguments(CPU)["devices"] == 1


SHARES = {"equal": (4, 4), "unequal": (3, 5)}


def _normalising() -> nn.Module:
    """In float64: so what differs is no rounding."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.SiLU(), nn.Conv2d(5, 3, 2), nn.BatchNorm2d(3, momentum=None)]
    return nn.Sequential(*layers).double()


def _batch() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randn(8, 2, 9, 9, dtype=torch.float64)


def _pass(network: nn.Module, images: torch.Tensor, rows: slice) -> dict:
    """Two passes in training and the second's gradients, its loss being a sum over images; one in evaluation."""
    torch.manual_seed(3)
    weights = torch.randn(8, 3, 6, 6)[rows]
    network.train()
    network(images)
    images = images.clone().requires_grad_(True)
    output = network(images)
    (output * weights).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    return {"output": output.detach(), "images": images.grad, "weights": gradients,
            "state": network.state_dict(), "evaluation": network.eval()(images).detach()}  # fmt: skip


def _normalise() -> dict:
    found = {}
    for name, (few, _) in SHARES.items():
        rows = (slice(0, few), slice(few, 8))[processes.rank()]
        plain = _normalising()
        parameters = list(plain.parameters())
        network = processes.synchronised(plain)
        assert all(mine is its for mine, its in zip(parameters, network.parameters(), strict=True))
        found[name] = _pass(network, _batch()[rows], rows)
        found[name]["weights"] = [processes.total(gradient) for gradient in found[name]["weights"]]
    return found


def test_batch_norm_over_two_processes_is_that_over_the_whole_batch(said):
    """Outputs, running statistics, and the gradients of images and of weights; also of unequal shares."""
    whole = _pass(_normalising(), _batch(), slice(0, 8))
    exactly = {"rtol": 1e-10, "atol": 1e-10}
    for name in SHARES:
        parts = [each["norms"][name] for each in said]
        for key in ("output", "images", "evaluation"):
            torch.testing.assert_close(torch.cat([part[key] for part in parts]), whole[key], **exactly)
        for part in parts:
            torch.testing.assert_close(part["state"], whole["state"], **exactly)
            torch.testing.assert_close(part["weights"], whole["weights"], **exactly)
