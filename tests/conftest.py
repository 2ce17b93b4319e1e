"""What tests share: the digits, a small network, devices, and runs that several tests look at."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import Finished, robsynth, run_as_user

ATTACKS = ("pgd3", "pgd3x4")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that computes does so on every device that is here."""
    if "device" in metafunc.fixturenames:
        import torch

        here = ["cpu", *([pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else [])]
        metafunc.parametrize("device", here, indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Where a test computes, in float32 unless it says otherwise: the CPU, and the GPU where there is one."""
    import torch

    from robsynth.machine import arithmetic

    with arithmetic("fp32", torch.device(request.param)):
        yield torch.device(request.param)


@pytest.fixture
def second_device() -> Iterator[Any]:
    """A device that is not the CPU and needs no driver; see second_device.py."""
    from second_device import META, values_read_as_zeros

    with values_read_as_zeros():
        yield META


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    directory.mkdir(exist_ok=True)
    return directory


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(directory: Path, make: Callable[[], Finished]) -> Finished:
    """What a command said, run by the first process of the tests that asks, in a directory that all see."""
    said = directory / "said.json"
    directory.mkdir(exist_ok=True)
    with _locked(directory / "lock"):
        if not said.exists():
            said.write_text(json.dumps(vars(make())))
    return Finished(**json.loads(said.read_text()))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(shared: Path) -> None:
    """The user's cache stays as it is; every process of the tests shares another."""
    os.environ["ROBSYNTH_CACHE"] = str(shared / "cache")
    os.environ["WANDB_MODE"] = "offline"


@pytest.fixture(scope="session")
def digits():
    from robsynth.config import Dataset
    from robsynth.data import load_data

    return load_data(Dataset("mnist5k"))


@pytest.fixture(scope="session")
def few_digits(digits):
    """The first 40 train and 20 test digits."""
    from robsynth.data import DataSet

    return DataSet("mnist5k", digits.train.head(40), digits.test.head(20), digits.source)


@pytest.fixture
def network():
    from robsynth.classifiers import build_classifier

    return build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3]).eval()


@pytest.fixture(scope="session")
def smoke(shared: Path) -> tuple[Path, Finished]:
    """`robsynth reproduce scale=smoke`, uninterrupted: its directory and what it said."""
    directory = shared / "smoke"
    done = _once(directory, lambda: run_as_user("reproduce", "scale=smoke", "out=run", cwd=directory))
    assert done.status == 0, done.stderr
    return directory / "run", done


@pytest.fixture(scope="session")
def robust_run(shared: Path) -> tuple[Path, dict[str, Any]]:
    """`robsynth train` of a small robust classifier with a robustness curve: where it ran, and what it said."""
    directory = shared / "robust"
    words = (
        "train", "classifier.widths=[4,8,8,16]", "adversary.steps=1", "recipe.epochs=2", "recipe.ema=0",
        f"metrics.attacks=[{','.join(ATTACKS)}]", "metrics.attack_eps=[0.5,3]", "metrics.accuracy_count=100",
        "tracker=none", "out=robust",
    )  # fmt: skip
    return directory, _once(directory, lambda: robsynth(*words, cwd=directory)).json
