"""What is damaged or odd in one run's directory is said, and hides no other run."""

import json

import pytest

from made import figure, record_of
from robsynth.lab.catalogue import find_runs
from robsynth.records.query import matching, ordered
from robsynth.records.record import FAILED, RECORD, RUN, STAGES

IDENTITY = {"command": "train", "config": {"dataset": {"name": "some"}, "seed": 3}}


@pytest.fixture
def sound(tmp_path):
    """A run that is as it should be, beside which others are made."""
    record_of([figure("generation", "fid", 60.0, "p")]).save(tmp_path / "sound")
    return tmp_path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def record_with(tmp_path, **changes):
    path = record_of([figure("generation", "fid", 60.0, "p")]).save(tmp_path)
    return {**json.loads(path.read_text()), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"figures": 7}, {"figures": [7]}, {"figures": [{"metric": "fid"}]}, {"figures": {"a": "b"}},
        {"figures": [figure("generation", "fid", "60", "p")]}, {"figures": [figure("generation", ["fid"], 60, "p")]},
        {"data": None}, {"data": {}}, {"data": {"name": ["x"]}}, {"stages": [{}]}, {"stages": 5}, {"finished": 5},
        {"run": None, "command": {}}, {"format": "other"}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_an_odd_record_is_listed_as_unreadable_beside_the_others(sound, tmp_path_factory, changes):
    write(sound / "odd" / RECORD, record_with(tmp_path_factory.mktemp("whole"), **changes))
    runs = find_runs([str(sound)])
    assert [(run.directory.name, run.status) for run in runs] == [("odd", "unreadable"), ("sound", "finished")]
    assert runs[0].error
    assert json.dumps(runs[0].about())
    assert [run.directory.name for run in matching(runs, "fid>0")] == ["sound"]
    assert len(ordered(runs, "-finished")) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (RECORD, b"\xff\xfe"), (RECORD, b"[" * 100_000), (RUN, b""), (RUN, b"[]"), (RUN, b'{"identity": 3}'),
        (RUN, b'{"run": "r", "started": "", "identity": {"command": "train", "config": {"seed": 1}}}'),
    ],
    ids=["no text", "deep", "cut off", "a list", "no identity", "no data"],
)  # fmt: skip
def test_a_damaged_file_is_listed_as_unreadable_beside_the_others(sound, name, content):
    (sound / "odd").mkdir()
    (sound / "odd" / name).write_bytes(content)
    assert [run.status for run in find_runs([str(sound)])] == ["unreadable", "finished"]


def test_a_run_without_a_record_is_as_far_as_its_stages(tmp_path):
    write(tmp_path / RUN, {"run": "r", "started": "2026", "identity": IDENTITY})
    (run,) = find_runs([str(tmp_path)])
    assert (run.status, run.stage, run.dataset, run.seed) == ("unfinished", None, "some", 3)
    write(tmp_path / STAGES / "one.json", {"name": "one", "result": {"figures": [figure("a", "fid", 1.0, "p")]}})
    (run,) = find_runs([str(tmp_path)])
    assert (run.status, run.stage, run.figures[0]["value"]) == ("unfinished", "one", 1.0)
    write(tmp_path / FAILED, {"stage": "two", "error": "OSError: full"})
    (run,) = find_runs([str(tmp_path)])
    assert (run.status, run.stage, run.error, run.figures[0]["value"]) == ("failed", "two", "OSError: full", 1.0)
    write(tmp_path / STAGES / "one.json", "{")
    (run,) = find_runs([str(tmp_path)])
    assert (run.status, run.run) == ("unreadable", tmp_path.name)
