"""A run of several processes: they do what one does, and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from harness import ROOT, begun, children, complaints, robsynth, wait_for
from made import ABOUT, PGD, RECIPE, gan
from robsynth import processes
from robsynth.baselines.generator import save_generator
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.classifiers.synced import with_synced_batch_norms
from robsynth.cli import main
from robsynth.config import Dataset, Recipe
from robsynth.config.commands import Trainer
from robsynth.config.compose import load_config
from robsynth.data import load_data
from robsynth.data.batches import Batches
from robsynth.errors import RequestError
from robsynth.lab.context import open_context
from robsynth.lab.launch import environment, member, to_start
from robsynth.lab.stages.painting import sample_rival
from robsynth.machine import CPU, Machine
from robsynth.metrics.robustness import Ball, parse_attack, recognised, withstood
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.fit import fit, lightning_arguments

CUDA = torch.device("cuda")
MACHINE = Machine(CPU)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[dict]:
    """What each of two real processes says, which find one another through `processes`."""
    directory = tmp_path_factory.mktemp("two")
    port = free_port()
    torch.multiprocessing.spawn(_one_of_two, (directory, port), nprocs=2)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(2)]


def _one_of_two(rank: int, directory: Path, port: int) -> None:
    from lightning_fabric.plugins.environments import TorchElasticEnvironment

    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "localhost", **{name: str(number) for name, number in numbers.items()}})
    torch.set_num_threads(1)
    with processes.joined(TorchElasticEnvironment(), 2, CPU):
        heard = {
            "words": _talk(),
            "norms": _normalise(),
            "trained": _train(directory),
            "gan": _sample(directory),
            "attacked": _withstand(directory),
        }
        torch.save(heard, directory / f"{rank}.pt")


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


@pytest.mark.slow
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
    assert lightning_arguments(CPU)["devices"] == 1


def test_a_run_has_its_threads_and_gives_them_back():
    before = torch.get_num_threads()
    with member(Trainer("cpu", threads=before + 1), CPU):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


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
        network = with_synced_batch_norms(plain)
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


TRAININGS = {
    "whole batches": {"schedule": "steps"},
    "in parts, averaged": {"schedule": "steps", "accumulate": 2, "ema": 0.5},
}


def _trainable(recipe: Recipe) -> AdversarialTraining:
    """A network that is smooth: at a ReLU, where rounding decides, whole backgrounds would take another way at once.

    In PyTorch's usual memory format: in the other one its batch norm sums in few digits on CPUs.
    """
    network = build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).to(memory_format=torch.contiguous_format)
    return AdversarialTraining(network, PGD, recipe, 3)


def _train(directory: Path) -> dict:
    """The weights after six steps in float32 of 20 images each, and those of a training that was stopped half-way."""
    images = load_data(Dataset("mnist5k")).train.head(40)
    found = {}
    for name, changes in TRAININGS.items():
        for epochs in ([3], [1, 3]):
            where = directory / f"{name} {epochs} {processes.count()}"
            for until in epochs:
                module = _trainable(replace(RECIPE, batch_size=20, **changes))
                batches = Batches(images, 20, 3, parts=module.settings.accumulate)
                diary = fit(module, batches, until, where, MACHINE)
            weights = {key: value.clone() for key, value in module.kept.state_dict().items()}
            found[f"{name} {epochs}"] = weights, [row["loss"] for row in diary.rows]
    return found


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_the_same_weights(said, tmp_path, name):
    """At one batch size: to 1e-5 of what one process trains, and bit for bit of one another."""
    first, second = (each["trained"] for each in said)
    (weights, losses), alone = first[f"{name} [3]"], _train(tmp_path)
    torch.testing.assert_close(weights, alone[f"{name} [3]"][0], rtol=1e-5, atol=1e-5)
    assert losses == pytest.approx(alone[f"{name} [3]"][1], abs=1e-5)
    for others in (second[f"{name} [3]"], first[f"{name} [1, 3]"]):
        assert losses == others[1]
        assert all(torch.equal(value, others[0][key]) for key, value in weights.items())


def _sample(directory: Path) -> list[bytes]:
    """The shards of a GAN's images that this process sees at the end."""
    data = load_data(Dataset("mnist5k"))
    path = directory / f"generator{processes.rank()}.safetensors"
    about = {"latent": 8, "width": 8, "shape": [1, 32, 32], "dataset": data.name, "label_names": list(data.label_names)}
    save_generator(path, gan().average, about)
    out = directory / f"gan{processes.count()}"
    words = [f"checkpoint={path}", "samples.count=7", "samples.batch_size=2", "device=cpu", f"out={out}"]
    context = open_context("synthesize", load_config("synthesize", words))
    return [(out / file).read_bytes() for file in sample_rival(context, path).work(context)["files"]]


def test_two_processes_sample_the_same_images_of_a_gan(said, tmp_path):
    assert said[0]["gan"] == said[1]["gan"] == _sample(tmp_path)


def _withstand(directory: Path) -> tuple[list[bool], list[bool]]:
    """Which of 600 digits, three chunks, a network recognises, and which still under an attack."""
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    images = load_data(Dataset("mnist5k")).test.head(600)
    arguments = parse_attack("pgd2"), Ball("l2", 1.0), 3, directory / f"attacks {processes.count()}"
    clean, attacked = recognised(network, images), withstood(network, images, *arguments)
    return clean.right.tolist(), attacked.right.tolist()


def test_two_processes_share_an_attack(said, tmp_path):
    assert said[0]["attacked"] == said[1]["attacked"] == _withstand(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A directory with a classifier, and what one process paints with it and measures of that."""
    directory = tmp_path_factory.mktemp("made")
    about = {**ABOUT, "widths": [8, 16, 16, 32]}
    network = build_classifier("compact", about["widths"], 1, 10, [0.1], [0.3])
    save_classifier(directory / "classifier.safetensors", network, about)
    here = os.getcwd()
    os.chdir(directory)
    try:
        assert main([*PAINT, "out=one"]) == 0
        assert main([*MEASURE, "out=measured"]) == 0
    finally:
        os.chdir(here)
    return directory


PAINT = ("synthesize", "checkpoint=classifier.safetensors", "task=inpainting", "task.steps=10", "samples.count=600",
         "samples.batch_size=60", "trainer.threads=1")  # fmt: skip
MEASURE = ("evaluate", "samples=one", "judge=classifier.safetensors", "metrics.resamples=5", "trainer.threads=1",
           "metrics.protocols=[fid_train600_judge,kid_train600_5x100_judge,is_2splits_judge]")  # fmt: skip


@pytest.mark.slow
def test_a_process_that_is_killed_ends_all_and_the_same_command_goes_on(made):
    """And in the end the images are those of one process, to the byte."""
    words = (*PAINT, "out=two", "trainer=ddp")
    painting = begun(*words, cwd=made)
    wait_for(made / "two" / "00001.npz", painting)
    one, other = children(painting)
    os.kill(other, signal.SIGKILL)
    stdout, stderr = painting.communicate(timeout=100)
    assert (painting.returncode, stdout) == (1, "")
    assert complaints(stderr) == ["robsynth: process 1 was killed (SIGKILL); the same command goes on from here"]
    assert not Path(f"/proc/{one}").exists()
    kept = {path: path.stat().st_mtime_ns for path in (made / "two").glob("*.npz")}
    assert 0 < len(kept) < 10

    done = robsynth(*words, cwd=made)
    assert done.json["count"] == 600
    assert len(done.stdout.splitlines()) == 1
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    shards = sorted((made / "one").glob("*.npz"))
    assert len(shards) == 10
    assert all(shard.read_bytes() == (made / "two" / shard.name).read_bytes() for shard in shards)


@pytest.mark.slow
def test_processes_that_slurm_started_measure_the_same_figures(made, tmp_path):
    """As srun sets the variables; with an empty cache, and in the record of the run that one process began."""
    variables = {
        "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2", "SLURM_NODEID": "0", "SLURM_NNODES": "1", "SLURM_NODELIST": "localhost",
        "ROBSYNTH_CACHE": str(tmp_path),
    }  # fmt: skip
    words = (*MEASURE, "out=together", "trainer=multinode")
    tasks = [begun(*words, cwd=made, **variables, SLURM_PROCID=task, SLURM_LOCALID=task) for task in "01"]
    (said_first, _), (said_second, _) = (task.communicate(timeout=100) for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0]
    assert said_second == ""
    alone, together = (json.loads((made / name / "record.json").read_text()) for name in ("measured", "together"))
    assert json.loads(said_first)["figures"] == together["figures"] == alone["figures"]
    assert (alone["machine"]["processes"], together["machine"]["processes"]) == (1, 2)
    assert len([figure for figure in together["figures"] if figure["value"] is not None]) >= 5
    # Each process did its chunks: the first 500 of 600 images, and the rest.
    assert len(list((tmp_path / "features").glob("judge*/*.npz"))) == 4


@pytest.mark.slow
def test_a_training_that_is_told_to_stop_goes_on_under_torchrun(tmp_path, monkeypatch, capsys):
    """SIGTERM to the command that started the processes; then two agents, as on two machines."""
    words = ("train", "classifier.widths=[4,8,8,16]", "recipe.epochs=2", "recipe.batch_size=200", "recipe.save_every=2",
             "adversary.steps=2", "metrics.attacks=[pgd1]", "metrics.accuracy_count=50", "tracker=none", "out=run",
             "trainer.threads=1")  # fmt: skip
    training = begun(*words, "trainer=ddp", cwd=tmp_path)
    wait_for(tmp_path / "run" / "classifier" / "last.ckpt", training)
    training.send_signal(signal.SIGTERM)
    stdout, stderr = training.communicate(timeout=100)
    assert (training.returncode, stdout) == (143, "")
    assert complaints(stderr) == ["robsynth: terminated; the same command goes on from here"]
    assert not (tmp_path / "run" / "stages").exists()

    port = free_port()
    launch = [str(Path(sys.executable).with_name("torchrun")), "--nnodes=2", "--nproc-per-node=1", "--rdzv-id=a",
              "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "-m", "robsynth"]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    agents = [subprocess.Popen([*launch, *words, "trainer=multinode"], cwd=tmp_path, **pipes) for _ in range(2)]
    said = [agent.communicate(timeout=200) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    (line,) = [line for stdout, _ in said for line in stdout.splitlines()]
    record = json.loads((tmp_path / json.loads(line)["record"]).read_text())
    assert [row["epoch"] for row in record["history"]["classifier"]] == [1, 2]
    assert {stage["processes"] for stage in record["stages"]} == {2}

    # Of whatever number of processes, it is the same run.
    monkeypatch.chdir(tmp_path)
    assert main([*words]) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == json.loads(line)
    assert again.err.count("done before") == len(record["stages"])


def test_what_cannot_be_is_refused(monkeypatch):
    """One complaint, before anything is started; the same from a process of several and from the only one."""
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert environment(Trainer()) is None
    assert environment(Trainer("ddp")) is None
    with pytest.raises(RequestError, match=r"trainer: found multinode, but neither torchrun nor srun"):
        environment(Trainer("multinode"))
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(RequestError, match=r"trainer: found cpu in one of several processes; allowed: trainer=multi"):
        environment(Trainer("cpu"))
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    with pytest.raises(RequestError, match="--ntasks-per-node"):
        environment(Trainer("multinode"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["trainer=gpu", "device=cpu"], "device: found cpu, but trainer=gpu; allowed: auto, cuda"),
        (["trainer=cpu", "device=cuda"], "device: found cuda, but trainer=cpu; allowed: auto, cpu"),
        (
            ["trainer=cpu", "trainer.processes=2"],
            "trainer.processes: found 2, but only trainer=ddp reads it; allowed: none",
        ),
        (["trainer=ddp", "trainer.processes=0"], "trainer.processes: found 0, allowed: a number >= 1"),
        (["trainer=slurm"], "trainer: found 'slurm', allowed: auto, cpu, ddp, gpu, multinode"),
    ],
)
def test_contradictions_are_refused_before_any_work(words, complaint, capsys):
    assert main(["train", *words]) == 2
    assert capsys.readouterr().err == f"robsynth: {complaint}\n"


# GPUs, as torch would tell of them.


@pytest.fixture
def gpus(monkeypatch):
    """A maker of the task with this local rank of two on a Slurm node, which sees so many GPUs; gives what is set."""

    def see(count: int, local_rank: int = 1) -> list:
        chosen = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setattr("torch.distributed.init_process_group", lambda backend, **_: chosen.append(backend))
        monkeypatch.setattr("torch.distributed.new_group", lambda **_: None)
        monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
        told = {
            "STEP_ID": 0, "STEP_NUM_TASKS": 4, "JOB_ID": 7, "NTASKS": 4, "NTASKS_PER_NODE": 2, "NNODES": 2, "NODEID": 1,
            "PROCID": 2 + local_rank, "LOCALID": local_rank, "NODELIST": "localhost", "CPUS_PER_TASK": 3,
        }  # fmt: skip
        for name, value in told.items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))
        return chosen

    return see


@pytest.mark.parametrize(("seen", "local_rank", "number"), [(1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 1, 1)])
def test_a_slurm_task_has_a_gpu_of_those_that_it_sees(gpus, seen, local_rank, number):
    """With --gpus-per-task=1 that is number 0 in each; Lightning is told of as many as there are tasks."""
    chosen, before = gpus(seen, local_rank), torch.get_num_threads()
    with member(Trainer("multinode"), CUDA):
        assert torch.get_num_threads() == 3
        trainer = pl.Trainer(**lightning_arguments(CUDA), logger=False, enable_checkpointing=False)
        assert (processes.rank(), processes.count()) == (2 + local_rank, 4)
    assert torch.get_num_threads() == before
    assert chosen == [torch.device("cuda", number), "nccl"]
    assert trainer.strategy.root_device == torch.device("cuda", number)
    assert (trainer.global_rank, trainer.local_rank, trainer.world_size) == (2 + local_rank, local_rank, 4)
    assert (trainer.num_devices, trainer.num_nodes) == (2, 2)


def test_processes_are_started_for_the_gpus_that_are_seen(gpus, monkeypatch):
    gpus(3)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    assert (to_start(Trainer("ddp"), CUDA), to_start(Trainer("ddp", 2), CUDA)) == (3, 2)
    with pytest.raises(RequestError, match=r"trainer\.processes: found 4, allowed: up to 3, one a GPU"):
        to_start(Trainer("ddp", 4), CUDA)


def test_processes_do_not_share_a_gpu(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    with pytest.raises(RequestError, match="found 4 processes here and 2 GPUs"), member(Trainer("multinode"), CUDA):
        pass


@pytest.mark.parametrize("gpus_per_task", [None, "1"])
def test_the_slurm_script_asks_for_cores_and_for_gpus_if_it_was_given_some(tmp_path, gpus_per_task):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "8"}
    if gpus_per_task:
        variables["SLURM_GPUS_PER_TASK"] = gpus_per_task
    script = ["bash", str(ROOT / "experiments" / "slurm.sh"), "train", "recipe.epochs=2"]
    said = subprocess.run(script, env=variables, capture_output=True, text=True, check=True).stdout.splitlines()
    asked = ["--cpus-per-task=8", *(["--gpus-per-task=1"] if gpus_per_task else [])]
    assert said == ["--kill-on-bad-exit=1", *asked, "robsynth", "train", "recipe.epochs=2", "trainer=multinode"]
