"""How many processes a run has, and where."""

from dataclasses import dataclass, field

from robsynth.config.fields import choice
from robsynth.errors import RequestError

# Trainers that are a device.
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


@dataclass
class Trainer:
    """The processes of a run; none of it changes a result.

    "auto" is one process on the device that `device` says, "cpu" and "gpu" one on theirs. "ddp" starts several
    `processes` on this machine: one a GPU, or two on the CPU, unless told. "multinode" is any number on any number of
    machines, which torchrun or srun started. `threads` are the CPU threads of each; the cores are divided by the
    processes otherwise.
    """

    name: str = choice("auto", "cpu", "gpu", "ddp", "multinode", default="auto")
    processes: int | None = field(default=None, metadata={"least": 1})
    threads: int | None = field(default=None, metadata={"least": 1})

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
