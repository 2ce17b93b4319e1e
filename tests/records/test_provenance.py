"""A record says what it was computed on."""

import subprocess

import torch

from robsynth.machine import CPU, Machine
from robsynth.records import provenance


def test_of_a_cpu_a_record_says_nothing_of_a_gpu():
    found = provenance.machine(Machine(CPU, "bf16"))
    assert (found["device"], found["precision"], found["threads"]) == ("cpu", "bf16", torch.get_num_threads())
    assert not {key for key in found if "gpu" in key} | {"cuda", "driver"} & found.keys()


def test_of_a_gpu_a_record_says_name_number_versions_and_peak_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**29)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(provenance.processes, "started", lambda: 2)
    said = {"nvidia-smi": "570.1\n570.1\n"}
    monkeypatch.setattr(
        subprocess, "run", lambda words, **how: subprocess.CompletedProcess(words, 0, stdout=said[words[0]])
    )
    found = provenance.machine(Machine(torch.device("cuda"), "tf32"))
    assert {key: found[key] for key in ("device", "gpus", "cuda", "driver", "peak_gpu_memory_gb", "precision")} == {
        "device": "A GPU", "gpus": 2, "cuda": "12.8", "driver": "570.1", "peak_gpu_memory_gb": 1.5, "precision": "tf32",
    }  # fmt: skip


def test_a_device_that_is_here_is_named(device):
    found = provenance.machine(Machine(device))
    if device.type == "cpu":
        assert (found["device"], "gpus" in found) == ("cpu", False)
    else:
        assert (found["device"], found["cuda"]) == (torch.cuda.get_device_name(), torch.version.cuda)
        assert found["gpus"] == 1


def test_a_program_that_is_not_there_or_fails_says_nothing():
    assert provenance._said("no-such-program-anywhere") is None
    assert provenance._said("git", "no-such-command") is None
    assert provenance._said("git", "--version").startswith("git version")
