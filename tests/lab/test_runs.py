"""Local runs, listed from what they left: all of them, those that fit, and what differs among them."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness import robsynth
from made import ABOUT, figure, record_of
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.commands import train
from robsynth.config.compose import load_config
from robsynth.errors import RequestError
from robsynth.lab.catalogue import find_runs
from robsynth.records.record import load_record
from robsynth.training.training import UNGUARDED

TINY = (
    "train", "classifier.widths=[4,8,8,16]", "adversary=none", "recipe.epochs=1", "recipe.batch_size=500",
    "metrics.attacks=[pgd1]", "metrics.accuracy_count=50", "tracker=none",
)  # fmt: skip


def save(directory, figures, experiment="painting", **more):
    record = record_of(figures, **more)
    replace(record, experiment=experiment, finished=f"2026-01-0{record.seed + 1}").save(directory)


@pytest.fixture
def few(tmp_path):
    """Three records with FID under two protocols, and one of another experiment without FID."""
    outputs = tmp_path / "outputs"
    for name, seed, value, protocol in (("a", 0, 60.0, "p"), ("b", 1, 40.0, "p"), ("c", 2, 50.0, "q")):
        figures = [figure("generation", "fid", value, protocol), figure("wgan_gp", "fid", 5.0, protocol)]
        save(outputs / name, figures, seed=seed, config={"seed": seed, "epochs": seed})
    save(outputs / "deep" / "d", [figure("judge", "clean_accuracy", 0.9, "clean")], "other", seed=3)
    return tmp_path


def names(runs):
    return [run.directory.name for run in runs]


def test_runs_are_found_at_any_depth_and_none_inside_another(few):
    save(few / "outputs" / "a" / "copy", [])
    assert names(find_runs([str(few / "outputs"), str(few / "none")])) == ["a", "b", "c", "d"]


def test_where_nothing_can_be_is_said(tmp_path):
    with pytest.raises(RequestError, match=r"^under: no directory nowhere here"):
        find_runs(["nowhere"])


def test_the_command_lists_filters_and_shows_two_protocols_apart(few):
    done = robsynth("runs", "sort=-fid", "figures=[fid]", cwd=few)
    runs = done.json["runs"]
    assert [run["directory"] for run in runs] == ["outputs/a", "outputs/b", "outputs/c", "outputs/deep/d"]
    assert runs[0]["figures"] == {"fid": {"subject": "generation", "metric": "fid", "value": 60.0, "protocol": "p"}}
    assert "60.0 (1)" in done.stderr
    assert "50.0 (2)" in done.stderr
    assert "fid, not to be compared across protocols: (1) p, (2) q" in done.stderr
    chosen = robsynth("runs", "experiment=other", "dataset=some", "status=finished", cwd=few).json["runs"]
    assert [run["directory"] for run in chosen] == ["outputs/deep/d"]


def test_the_command_compares_what_is_left(few):
    done = robsynth("runs", "where=fid/p>0", "sort=fid", "compare=true", "out=both", cwd=few)
    found = done.json
    assert [run["directory"] for run in found["runs"]] == ["outputs/b", "outputs/a"]
    assert found["settings"] == [{"setting": "epochs", "b": "1", "a": "0"}]
    assert found["differences"] == [{"of": "generation", "metric": "FID ↓", "protocol": "p", "b": "40.0", "a": "60.0"}]
    assert "Settings that differ" in done.stderr
    assert "40.0" in (few / found["page"]).read_text()
    for words, complaint in {
        ("experiment=other", "compare=true"): "compare: found 1 of these runs with a record",
        ("out=both",): "out: a list is not written",
        ("figures=[fud]",): "figures: found 'fud'",
        ("status=gone",): "status: found 'gone', allowed: finished, unfinished",
        ("expriment=other",): "expriment: no such key; did you mean experiment?",
    }.items():
        refused = robsynth("runs", *words, cwd=few)
        assert refused.status == 2
        assert complaint in refused.complaint


def test_a_run_is_unfinished_failed_or_finished_as_it_goes(tmp_path):
    def listed():
        return robsynth("runs", "under=[outputs]", cwd=tmp_path).json["runs"][0]

    assert robsynth(*TINY, "out=outputs/x", cwd=tmp_path).status == 0
    whole = listed()
    assert (whole["status"], whole["command"], whole["dataset"]) == ("finished", "train", "mnist5k")

    directory = tmp_path / "outputs" / "x"
    (directory / "record.json").unlink()
    (directory / "stages" / "bundle.json").unlink()
    partial = listed()
    assert (partial["status"], partial["stage"], partial["finished"]) == ("unfinished", "model card", None)
    assert {key: partial[key] for key in ("run", "command", "dataset", "seed", "figures")} == {
        key: whole[key] for key in ("run", "command", "dataset", "seed", "figures")
    }

    (directory / "classifier" / "bundle.safetensors").unlink()
    (directory / "classifier" / "bundle.safetensors").mkdir()
    assert robsynth(*TINY, "out=outputs/x", cwd=tmp_path).status == 1
    failed = listed()
    assert (failed["status"], failed["stage"]) == ("failed", "bundle")
    assert "bundle.safetensors" in failed["error"]

    (directory / "classifier" / "bundle.safetensors").rmdir()
    assert robsynth(*TINY, "out=outputs/x", cwd=tmp_path).status == 0
    assert listed()["status"] == "finished"
    assert not (directory / "failed.json").exists()


def test_a_checkpoint_that_is_not_what_it_was_is_made_again(tmp_path, capsys):
    words = [*TINY[1:], f"out={tmp_path / 'run'}"]
    checkpoint = Path(train.run(load_config("train", words))["checkpoint"])
    before = checkpoint.read_bytes()
    flip_last_bit(checkpoint)
    train.run(load_config("train", words))
    assert checkpoint.read_bytes() == before
    assert "classifier.safetensors is not what it was, so again" in capsys.readouterr().err


def test_a_file_that_settings_name_is_known_by_its_content_and_an_unguarded_training_says_so(tmp_path):
    start = tmp_path / "start.safetensors"
    save_classifier(start, build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3]), ABOUT)
    words = [*(word for word in TINY[1:] if word != "adversary=none"), "adversary=single_step", "recipe.held_out=0"]
    config = load_config("train", [*words, f"recipe.start={start}", f"out={tmp_path / 'run'}"])
    record = load_record(Path(train.run(config)["record"]))
    assert record.warnings == [f"classifier: {UNGUARDED}"]
    flip_last_bit(start)
    with pytest.raises(RequestError, match=r"holds a run of other settings \(recipe\.start \w+ instead of"):
        train.run(config)


def flip_last_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
