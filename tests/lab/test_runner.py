"""Stages are done once, in order, and what they leave goes into the record; a directory belongs to its settings."""

import json

import pytest

from robsynth.config.compose import load_config
from robsynth.directories import claim, decisive
from robsynth.errors import RequestError
from robsynth.lab.context import open_context
from robsynth.lab.runner import Cost, Stage, run_stages
from robsynth.records.record import load_record

DATA = {"name": "made", "source": "up", "fingerprint": "f00", "train": 1, "test": 1, "label_names": []}


def context_in(directory, *words):
    return open_context("train", load_config("train", [f"out={directory}", "tracker=none", *words]))


def stage(name, work, needs=(), alone=False):
    return Stage(name, work, lambda context: Cost(name, {"classifier": 3}), needs, alone)


def told(context, record, written):
    return {**written, "measured": record.figures}


def test_a_stage_is_done_once_and_told_what_the_ones_before_left(tmp_path):
    done = []

    def first(context):
        done.append("first")
        return {"data": DATA, "value": 5, "figures": [{"subject": "a", "metric": "fid", "value": 1.0, "protocol": "p"}],
                "protocols": {"p": {}}}  # fmt: skip

    def second(context):
        done.append(context.results["first"]["value"])
        return {"warnings": ["odd"], "wall_seconds": 7.0}

    stages = [stage("first", first), stage("second", second, ("first",), alone=True)]
    said = run_stages(context_in(tmp_path), stages, told)
    again = run_stages(context_in(tmp_path), stages, told)
    assert done == ["first", 5]
    assert said == again
    record = load_record(said["record"])
    assert [row["name"] for row in record.stages] == ["first", "second"]
    assert record.stages[1]["wall_seconds"] == 7.0
    assert (record.warnings, record.data, record.figures) == (["odd"], DATA, said["measured"])


def test_a_stage_whose_file_is_lost_or_changed_is_done_again(tmp_path):
    done = []

    def work(context):
        done.append(1)
        (context.directory / "made.txt").write_text("whole")
        return {"data": DATA, "files": ["made.txt"], "sha1": "af81132610ec21451a6b9d3a0acfb847ea155c9f"}

    def run():
        run_stages(context_in(tmp_path), [stage("made", work)], told)

    run()
    run()
    assert len(done) == 1
    (tmp_path / "made.txt").unlink()
    run()
    assert len(done) == 2
    (tmp_path / "made.txt").write_text("other")
    run()
    assert len(done) == 3


def test_a_failure_leaves_word_and_the_next_attempt_goes_on(tmp_path):
    trouble = [ValueError("no  luck")]

    def work(context):
        if trouble:
            raise trouble.pop()
        return {"data": DATA}

    stages = [stage("before", lambda context: {"data": DATA}), stage("fragile", work)]
    with pytest.raises(ValueError, match="luck"):
        run_stages(context_in(tmp_path), stages, told)
    failed = json.loads((tmp_path / "failed.json").read_text())
    assert (failed["stage"], failed["error"]) == ("fragile", "ValueError: no luck")
    run_stages(context_in(tmp_path), stages, told)
    assert not (tmp_path / "failed.json").exists()


def test_a_stage_without_what_it_needs_is_an_error_of_the_command(tmp_path):
    with pytest.raises(AssertionError, match="late"):
        run_stages(context_in(tmp_path), [stage("late", lambda context: {}, ("never",))], told)


def test_a_run_is_known_by_what_decides_its_results(tmp_path):
    names = {
        words: open_context("train", load_config("train", ["tracker=none", *words])).name
        for words in [
            (),
            ("device=cpu",),
            ("trainer=cpu", "debug=true", "force=true"),
            ("seed=1",),
            ("precision=fp32",),
        ]
    }
    assert names[()] == names["device=cpu",] == names["trainer=cpu", "debug=true", "force=true"]
    assert names["seed=1",] != names[()]
    start = tmp_path / "start.safetensors"
    found = []
    for content in (b"one", b"another"):
        start.write_bytes(content)
        found.append(open_context("train", load_config("train", [f"recipe.start={start}"])).name)
    assert found[0] != found[1]


def test_a_directory_belongs_to_settings_and_nothing_else_is_ever_removed(tmp_path):
    place = tmp_path / "run"
    claim(place, "run.json", {"identity": {"config": {"eps": 1, "seed": 0}}}, "a run")
    (place / "kept").touch()
    first = claim(place, "run.json", {"identity": {"config": {"eps": 1, "seed": 0}}}, "a run")
    assert first["started"]
    with pytest.raises(
        RequestError, match=r"out: .*run holds a run of other settings \(eps 1 instead of 2\); allowed: force"
    ):
        claim(place, "run.json", {"identity": {"config": {"eps": 2, "seed": 0}}}, "a run")
    claim(place, "run.json", {"identity": {"config": {"eps": 2, "seed": 0}}}, "a run", force=True)
    assert [path.name for path in place.iterdir()] == ["run.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    for force in (False, True):
        with pytest.raises(RequestError, match=r"holds other files \(thesis\.tex\); allowed: an empty directory"):
            claim(tmp_path / "mine", "run.json", {}, "a run", force)
    assert claim(tmp_path / "mine", "store.json", {"count": 1}, "samples", among=True)["count"] == 1
    assert decisive({"eps": 1, "trainer": {"name": "ddp"}, "tracker": 2, "out": 3}) == {"eps": 1}
