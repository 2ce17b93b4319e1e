"""The main job, end to end at the smallest scale: what it leaves, and that no kill changes it."""

import signal
from pathlib import Path

from harness import begun, inspected, robsynth, wait_for
from robsynth.records.figures import figure_key
from robsynth.records.record import load_record

TASKS = ["generation", "inpainting", "translation", "super_resolution", "sketch_to_image", "feature_painting"]


def figures(path: Path) -> list[dict]:
    return load_record(path).figures


def test_the_last_line_says_where_everything_is(smoke):
    run, done = smoke
    said = done.json
    assert {"experiment", "run", "record", "report", "figures"} <= said.keys()
    assert said["experiment"] == "mnist5k"
    assert (run.parent / said["record"]).is_file()
    assert (run.parent / said["report"]).is_file()
    assert said["figures"] == figures(run)
    assert len(done.stdout.strip().splitlines()) == 1


def test_every_stage_left_its_figures(smoke):
    run, _ = smoke
    found = {(figure["subject"], figure["metric"]): figure["value"] for figure in figures(run) if "at" not in figure}
    for subject in [*TASKS, "wgan_gp", "Gaussian seeds", "real held-out images"]:
        for metric in ("fid", "kid", "judge_score", "judge_share"):
            assert found[subject, metric] is not None
        scores = [figure for figure in figures(run) if (figure["subject"], figure["metric"]) == (subject, "is")]
        assert {"efficientnet" in score["protocol"]: score["value"] is None for score in scores} == {
            False: True,
            True: False,
        }
    for subject in ("robust classifier", "judge"):
        assert 0 <= found[subject, "robust_accuracy"] <= found[subject, "clean_accuracy"] <= 1
    for task in ("inpainting", "super_resolution", "sketch_to_image"):
        for subject in (task, f"{task}: {'mean fill' if task == 'inpainting' else 'untouched input'}"):
            assert found[subject, "psnr"] > 0
            assert found[subject, "ssim"] <= 1


def test_the_record_says_where_its_figures_come_from(smoke):
    record = load_record(smoke[0])
    assert record.config["adversary"]["eps"] == 1.5
    assert record.config["tasks"]["generation"]["steps"] > 0
    assert record.versions["torch"]
    assert record.data["fingerprint"] == "53c1298b4f73225b"
    assert record.machine["precision"] in ("fp32", "bf16")
    assert all(stage["wall_seconds"] >= 0 and stage["cpu_seconds"] >= 0 for stage in record.stages)
    assert {figure["protocol"] for figure in record.figures} == set(record.protocols)
    assert set(record.history) == {"classifier", "judge", "wgan_gp"}
    assert all((smoke[0] / picture["file"]).is_file() for picture in record.pictures)


def test_wandb_has_the_same_figures_and_pictures(smoke):
    """The offline run is read back by W&B's own tool."""
    run, _ = smoke
    summary = inspected(run)["summary"]
    for figure in figures(run):
        expected = "not available" if figure["value"] is None else figure["value"]
        assert summary[figure_key(figure)] == expected
    shown = list((run / "wandb").glob("offline-run-*/files/media/images/pictures/*.png"))
    assert len(shown) == len(load_record(run).pictures)


def test_running_it_again_recomputes_nothing(smoke):
    run, done = smoke
    before = {
        path: path.stat().st_mtime_ns
        for part in ("stages", "samples", "classifier")
        for path in (run / part).rglob("*")
    }
    again = robsynth("reproduce", "scale=smoke", "out=run", cwd=run.parent)
    assert again.json == done.json
    assert again.stderr.count("done before") == len(load_record(run).stages)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_other_settings_do_not_get_into_the_run(smoke):
    run, _ = smoke
    refused = robsynth("reproduce", "scale=smoke", "out=run", "adversary.eps=2", cwd=run.parent)
    assert refused.status == 2
    assert "adversary.eps 1.5 instead of 2.0" in refused.complaint


def test_a_lost_file_is_noticed_and_made_again(smoke):
    run, done = smoke
    lost = run / "samples" / "translation" / "00001.npz"
    content = lost.read_bytes()
    lost.unlink()
    again = robsynth("reproduce", "scale=smoke", "out=run", cwd=run.parent)
    assert "samples/translation/00001.npz is gone, so again" in again.stderr
    assert again.json["figures"] == done.json["figures"]
    assert lost.read_bytes() == content


# A file whose appearance says that a stage has begun or gone half-way.
MOMENTS = [
    "run.json",
    "classifier/last.ckpt",
    "stages/train judge.json",
    "samples/inpainting/00000.npz",
    "stages/measure generation.json",
    "pictures/generation.png",
    "record.json",
]


def test_killed_again_and_again_it_ends_in_the_same_figures(smoke, tmp_path):
    """SIGKILL at seven moments of one run, each after the one before; then it is left alone."""
    words = ("reproduce", "scale=smoke", "out=run")
    for moment in MOMENTS:
        process = begun(*words, cwd=tmp_path)
        wait_for(tmp_path / "run" / moment, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = robsynth("reproduce", "scale=smoke", "out=run", cwd=tmp_path)
    assert done.json["figures"] == smoke[1].json["figures"]
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 1
    for weights in ("classifier/classifier.safetensors", "wgan_gp/generator.safetensors"):
        assert (tmp_path / "run" / weights).read_bytes() == (smoke[0] / weights).read_bytes()
