"""What a tracker holds is what the record holds, however the run goes; and it never costs a run."""

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harness import begun, inspected, logged, robsynth, wait_for
from made import ABOUT, figure, record_of
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.config import TrackerSettings
from robsynth.errors import Pruned, RequestError
from robsynth.lab.catalogue import find_runs
from robsynth.lab.listening import Listener
from robsynth.lab.trackers import RunInfo, Tracking
from robsynth.lab.trackers.weights_and_biases import choose_mode, has_account
from robsynth.records.figures import FIGURE_COLUMNS, figure_key, figure_row
from robsynth.records.record import Record, load_record
from robsynth.samples import SampleStore

TRACKERS = ("wandb", "tensorboard", "csv")
TINY = (
    "train", "classifier.widths=[4,8,8,16]", "adversary=none", "recipe.batch_size=500", "metrics.attacks=[pgd1]",
    "metrics.accuracy_count=50", "out=run",
)  # fmt: skip
ROWS = [{"epoch": epoch, "loss": 2.0 / epoch, "wall_seconds": 1.5 * epoch} for epoch in (1, 2, 3)]


@pytest.fixture(autouse=True)
def _own_service(monkeypatch):
    """Commands start W&B's service themselves, as a user's do, though this process has one already."""
    monkeypatch.delenv("WANDB_SERVICE", raising=False)


def read_wandb(run: Path) -> tuple[dict, dict]:
    """Figures, and every training's values of all epochs: under their keys."""
    figures = {key: None if value == "not available" else value for key, value in inspected(run)["summary"].items()}
    rows = [line["history"]["item"] for line in logged(run) if line["type"] == "history"]
    return figures, gathered(rows)


def gathered(rows: list[dict]) -> dict[str, list]:
    """Each key's values, in the order of the rows that have it."""
    found: dict[str, list] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def read_tensorboard(run: Path) -> tuple[dict, dict]:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    values = {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    texts = [tag.removesuffix("/text_summary") for tag in events.Tags()["tensors"]]
    epochs = {tag: [event.value for event in events.Scalars(tag)] for tag in values}
    return {**values, **dict.fromkeys(texts)}, epochs


def read_csv(run: Path) -> tuple[dict, dict]:
    with (run / "figures.csv").open() as file:
        lines = list(csv.DictReader(file))
    figures = {
        "/".join(filter(None, (line["subject"], line["metric"], line["protocol"], line["at"]))):
            float(line["value"]) if line["value"] else None
        for line in lines
    }  # fmt: skip
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    named = [{f"{row['training']}/{key}": float(value) for key, value in row.items() if key != "training" and value}
             for row in rows]  # fmt: skip
    return figures, gathered(named)


READ = {"wandb": read_wandb, "tensorboard": read_tensorboard, "csv": read_csv}


def assert_holds(name: str, run: Path, record: Record) -> None:
    """Compare every figure and every epoch of every training; TensorBoard's numbers are float32."""
    figures, epochs = READ[name](run)
    assert record.history
    for one in record.figures:
        found = figures[figure_key(one)]
        assert (found is None) == (one["value"] is None)
        assert one["value"] is None or found == pytest.approx(one["value"], rel=1e-6 if name == "tensorboard" else 0)
    for training, rows in record.history.items():
        for key in rows[-1].keys() - {"epoch"}:
            assert epochs[f"{training}/{key}"] == pytest.approx([row[key] for row in rows], rel=1e-6)


@pytest.fixture
def tracked(tmp_path):
    """An attempt at a run of which only the log is made, by the tracker that the test names."""
    config = {"experiment": "some", "scale": "smoke", "dataset": {"name": "mnist5k"}, "seed": 0}

    def begin(listener=Listener(), **settings) -> Tracking:  # noqa: B008
        info = RunInfo("a-run", "train", "now", tmp_path, config, TrackerSettings(**settings))
        return Tracking(info, listener)

    return begin


@pytest.fixture
def record(tmp_path):
    """A whole record with figures of every kind, a picture, samples and a network, saved where the run is."""
    figures = [
        figure("generation", "fid", 61.25, "p"), figure("generation", "is", None, "q", why="no logits"),
        figure("generation", "fid", 70.5, "p", at={"steps": 2.0}),
        figure("generation", "fid", 65.5, "p", at={"steps": 4.0}),
        figure("robust classifier", "clean_accuracy", 0.1 + 0.2, "clean"),
    ]  # fmt: skip
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    start, images, original = np.random.default_rng(0).integers(0, 256, (3, 12, 8, 8, 1), np.uint8)
    data = {"name": "mnist5k", "source": "made up", "fingerprint": "f00", "label_names": list("0123456789")}
    store = SampleStore.create(tmp_path / "samples" / "inpainting", 12, 12, {})
    store.write(0, {"images": images, "wanted": np.arange(12) % 10, "start": start, "original": original})
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / "classifier.safetensors").write_bytes(b"weights")
    (tmp_path / "classifier" / "last.ckpt").write_bytes(b"to resume from")
    pictures = [{"name": "a", "file": "pictures/a.png", "caption": "a picture"}]
    config = {"select": ["inpainting"]}
    found = record_of(figures, data=data, config=config, history={"classifier": ROWS}, pictures=pictures)
    found.save(tmp_path)
    return found


def fail_after_an_epoch(attempt: Tracking, error: BaseException) -> None:
    with attempt as tracking:
        tracking.history("classifier", ROWS[:1])
        raise error


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_holds_what_the_record_holds(tracked, record, tmp_path, name):
    with tracked(name=name, mode="offline" if name == "wandb" else "auto") as tracking:
        tracking.history("classifier", ROWS[:1])
        tracking.history("classifier", ROWS[:2])
        tracking.record(record)
    assert_holds(name, tmp_path, record)


def test_wandb_has_the_run_s_settings_tags_media_and_artifacts(tracked, record, tmp_path):
    with tracked(name="wandb", mode="offline", group="eps") as tracking:
        tracking.record(record)
    found = inspected(tmp_path)
    assert found["tags"] == ["train", "some", "smoke", "mnist5k"]
    assert (found["exit_code"], found["name"]) == (0, "a-run")
    assert found["config"]["dataset"]["name"] == "mnist5k"
    assert found["config"]["data"]["fingerprint"] == "f00"
    (files,) = (tmp_path / "wandb").glob("offline-run-*/files/media")
    assert len(list((files / "images" / "pictures").glob("*.png"))) == 1
    (table,) = (files / "table" / "examples").glob("*.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["wanted", "input", "result", "original"]
    assert [row[0] for row in content["data"]] == list("0123456789")
    # The table's images wait for a server where artifacts do.
    shown = {np.asarray(Image.open(file)).tobytes() for file in (tmp_path / "wandb" / "artifacts" / "staging").iterdir()
             if file.read_bytes().startswith(b"\x89PNG")}  # fmt: skip
    with np.load(tmp_path / "samples" / "inpainting" / "00000.npz") as shard:
        assert shown == {image.tobytes() for name in ("start", "images", "original") for image in shard[name][:10]}
    said = json.dumps(logged(tmp_path))
    for artifact, file in {"record": "record.json", "classifier": "classifier.safetensors",
                           "samples-inpainting": "00000.npz"}.items():  # fmt: skip
        assert f"a-run-{artifact}" in said
        assert file in said
    assert "last.ckpt" not in said
    assert '"eps"' in said


def test_a_listener_hears_histories_and_may_end_the_run(tracked, tmp_path):
    class Ending(Listener):
        def history(self, training, rows):
            heard.append((training, len(rows)))
            raise Pruned("pruned")

    heard = []
    with pytest.raises(Pruned), tracked(Ending(), name="wandb", mode="offline") as tracking:
        tracking.history("classifier", ROWS[:2])
    assert heard == [("classifier", 2)]
    # A trial that was pruned did what it was for.
    found = inspected(tmp_path)
    assert (found["exit_code"], found["summary"]["epoch"]) == (0, 2)


def test_csv_has_every_column_of_a_figure(tracked, record, tmp_path):
    with tracked(name="csv") as tracking:
        tracking.record(record)
    with (tmp_path / "figures.csv").open() as file:
        lines = list(csv.DictReader(file))
    expected = [{name: "" if (value := figure_row(one).get(name)) is None else str(value) for name in FIGURE_COLUMNS}
                for one in record.figures]  # fmt: skip
    assert lines == expected


@pytest.mark.parametrize("name", TRACKERS)
def test_a_later_attempt_begins_with_what_was_logged_before(tracked, record, tmp_path, name):
    with pytest.raises(RuntimeError):
        fail_after_an_epoch(tracked(name=name), RuntimeError())
    with tracked(name=name) as tracking:
        tracking.history("classifier", ROWS[:2])
        tracking.record(record)
    assert_holds(name, tmp_path, record)
    if name == "wandb":
        assert inspected(tmp_path)["step"] == len(ROWS)
    if name == "tensorboard":
        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        assert [event.step for event in events.Scalars("classifier/loss")] == [1, 2, 3]


def test_what_was_logged_whole_is_logged_again_only_if_it_changes(tracked, record, tmp_path):
    def log(record):
        with tracked(name="csv") as tracking:
            tracking.history("classifier", ROWS)
            tracking.record(record)
        return (tmp_path / "figures.csv").stat().st_mtime_ns

    first = log(record)
    assert log(record) == first
    changed = replace(record, figures=record.figures[:1])
    changed.save(tmp_path)
    assert log(changed) > first
    assert_holds("csv", tmp_path, changed)
    (tmp_path / "metrics.csv").unlink()
    log(changed)
    assert_holds("csv", tmp_path, changed)


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError(), 1), (RequestError(), 2), (KeyboardInterrupt(), 130), (SystemExit(143), 143)],
)
def test_a_run_that_ends_badly_is_finished_with_its_exit_status(tracked, tmp_path, error, status):
    with pytest.raises(type(error)):
        fail_after_an_epoch(tracked(name="wandb", mode="offline"), error)
    found = inspected(tmp_path)
    assert found["exit_code"] == status
    assert found["summary"]["classifier/loss"] == 2.0
    assert not (tmp_path / "tracked.json").exists()


@pytest.mark.parametrize("name", ["tensorboard", "csv"])
def test_a_tracker_that_fails_costs_a_line(tracked, record, tmp_path, capsys, name):
    """Its place is taken by something else, or lost on the way."""
    (tmp_path / "metrics.csv").mkdir()
    (tmp_path / "tensorboard").write_text("no directory")
    with tracked(name=name) as tracking:
        tracking.history("classifier", ROWS)
        tracking.record(record)
    said = capsys.readouterr().err
    assert said.count(f"tracker: {name} failed (") == 1
    assert not (tmp_path / "tracked.json").exists()


@pytest.mark.slow
def test_a_server_that_does_not_answer_leaves_a_whole_run_offline(tmp_path):
    nowhere = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40, "WANDB_INIT_TIMEOUT": "2"}
    training = begun(*TINY, "recipe.epochs=1", "tracker.mode=online", cwd=tmp_path, **nowhere)
    _, stderr = training.communicate(timeout=100)
    assert training.returncode == 0, stderr
    assert stderr.count("tracker: W&B cannot be reached") == 1
    assert_holds("wandb", tmp_path / "run", load_record(tmp_path / "run"))


@pytest.mark.slow
def test_an_interrupted_training_has_its_epochs_and_the_next_attempt_has_them_all(tmp_path):
    """Ctrl-C in the second epoch or later."""
    words = (*TINY, "recipe.epochs=3")
    process, run = begun(*words, cwd=tmp_path), tmp_path / "run"
    wait_for(run / "classifier" / "last.ckpt", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    status = process.returncode
    assert status == 130
    found = inspected(run)
    assert found["exit_code"] == status
    assert found["summary"]["epoch"] >= 1
    robsynth(*words, cwd=tmp_path)
    record, again = load_record(run), inspected(run)
    assert_holds("wandb", run, record)
    assert (again["run_id"], again["exit_code"], again["summary"]["epoch"]) == (found["run_id"], 0, 3)
    assert robsynth(*words, "tracker=csv", cwd=tmp_path).stderr.count("done before") == len(record.stages)
    assert_holds("csv", run, record)


@pytest.mark.slow
def test_synthesize_is_logged_with_its_images_and_listed(tmp_path):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    save_classifier(tmp_path / "net.safetensors", network, ABOUT)
    words = ("synthesize", "checkpoint=net.safetensors", "task=inpainting", "task.steps=2", "samples.count=12",
             "samples.batch_size=5", "out=outputs/made")  # fmt: skip
    said, run = robsynth(*words, cwd=tmp_path).json, tmp_path / "outputs" / "made"
    record = load_record(tmp_path / said["record"])
    (picture,) = record.pictures
    assert (run / picture["file"]).is_file()
    assert [stage["name"] for stage in record.stages] == ["synthesize inpainting", "picture"]
    found = inspected(run)
    assert (found["name"], found["exit_code"]) == (record.run, 0)
    assert found["tags"] == ["synthesize", "mnist5k", "laptop"]
    (media,) = (run / "wandb").glob("offline-run-*/files/media")
    assert len(list((media / "images" / "pictures").glob("inpainting_*.png"))) == 1
    (table,) = (media / "table" / "examples").glob("inpainting_*.json")
    assert json.loads(table.read_text())["columns"] == ["wanted", "input", "result", "original"]
    (log,) = (run / "wandb").glob("offline-run-*/*.wandb")
    for name in (f"{record.run}-samples-inpainting", "00002.npz", "store.json"):
        assert name in json.dumps(logged(run))
    (listed,) = find_runs([str(tmp_path / "outputs")])
    assert (listed.run, listed.command, listed.status) == (record.run, "synthesize", "finished")

    # What was lost is made again, which the record says, and which is not logged again.
    (run / "00001.npz").unlink()
    before = log.stat().st_mtime_ns
    assert robsynth(*words, cwd=tmp_path).json == said
    assert log.stat().st_mtime_ns == before
    assert [stage["name"] for stage in load_record(run).stages] == ["synthesize inpainting", "picture"]


def test_an_account_decides_where_a_run_is_logged(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (has_account(), choose_mode("auto"), choose_mode("offline")) == (False, "offline", "offline")
    with pytest.raises(RequestError, match=r"^tracker\.mode: online needs an account"):
        choose_mode("online")
    (tmp_path / ".netrc").write_text("machine elsewhere.org login a password b\n")
    assert not has_account()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert (has_account(), choose_mode("auto"), choose_mode("online")) == (True, "online", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:8080")
    assert choose_mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert choose_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert (choose_mode("auto"), choose_mode("online")) == ("offline", "online")


@pytest.mark.parametrize("first", [True, False])
def test_rank_0_alone_logs(tracked, record, tmp_path, monkeypatch, first):
    monkeypatch.setattr("robsynth.lab.trackers.tracking.is_first", lambda: first)
    with tracked(name="csv") as tracking:
        tracking.record(record)
    assert (tmp_path / "figures.csv").exists() is first
