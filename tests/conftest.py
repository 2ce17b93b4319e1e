"""What tests share: the digits, a small network, the command line as a user runs it, and one smoke run."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout's last line."""
        assert self.status == 0, self.stderr
        return json.loads(self.stdout.strip().splitlines()[-1])

    @property
    def complaint(self) -> str:
        """stderr's only line of complaint."""
        assert "Traceback" not in self.stderr
        lines = [line for line in self.stderr.splitlines() if line.startswith("robsynth: ")]
        assert len(lines) == 1, self.stderr
        return lines[0]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "robsynth", *words]


def run_as_user(*words: str, cwd: Path) -> Finished:
    """`robsynth WORDS` from the start, in this directory."""
    done = subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


# Importing takes longer than most commands that tests run: here it is done once, and each command is a copy of that
# process. Those that tests kill are begun as users begin them.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([f"robsynth.commands.{name}" for name in ("evaluate", "reproduce", "train", "sweep")])


def robsynth(*words: str, cwd: Path) -> Finished:
    """`robsynth WORDS` in its own process, in this directory."""
    with TemporaryDirectory() as directory:
        said = [Path(directory) / name for name in ("stdout", "stderr")]
        process = _forks.Process(target=_become, args=(words, cwd, dict(os.environ), said))
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
        assert process.exitcode is not None, f"robsynth {words} takes more than ten minutes"
        return Finished(process.exitcode, *(path.read_text() for path in said))


def _become(words: Sequence[str], cwd: Path, environment: dict[str, str], said: Sequence[Path]) -> None:
    """Make of this process what `command` would have started."""
    for place, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), place)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["robsynth", *words]
    from robsynth.cli import main

    raise SystemExit(main())


# Files whose tests share a run that takes long, and files whose tests share nothing that is dear.
TOGETHER = ("test_reproduce", "test_reports", "test_cards", "test_robustness")
ANYWHERE = ("test_experiments", "test_paper_settings")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, and what fills the gaps last."""
    items.sort(key=lambda item: (item.path.stem in ANYWHERE, item.path.stem not in TOGETHER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What shares a fixture stays in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsShared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = Path(nodeid.partition("::")[0]).stem
            return nodeid if file in ANYWHERE else "together" if file in TOGETHER else file

    return ByWhatIsShared(config, log)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache stays as it is; every process of the tests shares another."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    cache.mkdir(exist_ok=True)
    os.environ["ROBSYNTH_CACHE"] = str(cache)
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
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """`robsynth reproduce scale=smoke`, uninterrupted: its directory and what it said."""
    directory = tmp_path_factory.mktemp("smoke")
    done = run_as_user("reproduce", "scale=smoke", "out=run", cwd=directory)
    assert done.status == 0, done.stderr
    return directory / "run", done


ATTACKS = ("pgd3", "pgd3x4")


@pytest.fixture(scope="session")
def robust_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """`robsynth train` of a small robust classifier with a robustness curve: where it ran, and what it said."""
    directory = tmp_path_factory.mktemp("robust")
    words = (
        "train", "classifier.widths=[4,8,8,16]", "adversary.steps=1", "recipe.epochs=2", "recipe.ema=0",
        f"metrics.attacks=[{','.join(ATTACKS)}]", "metrics.attack_eps=[0.5,3]", "metrics.accuracy_count=100",
        "tracker=none", "out=robust",
    )  # fmt: skip
    return directory, robsynth(*words, cwd=directory).json
