"""What tests share: the digits, a small network, and runs that several tests look at."""

import os
from pathlib import Path
from typing import Any

import pytest

from harness import Finished, robsynth, run_as_user

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
