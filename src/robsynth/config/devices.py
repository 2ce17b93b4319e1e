"""How many processes a run has, and where."""

from dataclasses import dataclass

from robsynth.config.fields import choice, number
from robsynth.errors import RequestError

# Trainers that are a device.
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


@dataclass
class Trainer:
    """The processes of a run; none of it changes a result."""

    name: str = choice(
        ("auto", "cpu", "gpu", "ddp", "multinode"), default="auto",
        help="one process where device= says, on the CPU or a GPU; several on this machine; those of torchrun or srun",
    )  # fmt: skip
    processes: int | None = number(least=1, default=None, help="of ddp: one a GPU, or two on the CPU, unless given")
    threads: int | None = number(least=1, default=None, help="CPU threads of each process: its share of the cores")

    def check(self, prefix: str) -> None:
        """Refuse a number of processes where others decide it."""
        if self.processes is not None and self.name != "ddp":
            raise RequestError(f"{prefix}processes: found {self.processes}, but trainer={self.name}; allowed: with ddp")

    def device(self, named: str) -> str:
        """The device of the configuration, where `named` is what its `device` says."""
        allowed = DEVICES.get(self.name)
        if allowed is None:
            return named
        if named not in ("auto", allowed):
            raise RequestError(f"device: found {named}, but trainer={self.name}; allowed: auto, {allowed}")
        return allowed
