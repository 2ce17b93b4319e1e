"""`robsynth evaluate` and `robsynth statistics` as a user calls them, on samples of any origin and on classifiers."""

import json

import numpy as np
import pytest
from PIL import Image

from conftest import ATTACKS
from harness import inspected, robsynth
from made import POOLED
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.commands import evaluate
from robsynth.config.compose import load_config
from robsynth.errors import RequestError
from robsynth.records.figures import figure_key
from robsynth.records.record import load_record
from robsynth.reports.plots import all_plots


def pixels(images):
    return images.permute(0, 2, 3, 1).contiguous().numpy()


def test_exported_statistics_stand_for_their_data(few_digits, tmp_path):
    """Through the command line: made once, measured against without the data set, refused to another network."""
    # Of a smaller network than Inception.
    words = ["statistics", "reference=mnist5k", "protocol=fid_train40_efficientnet_lite0", "out=mnist40.npz"]
    made = robsynth(*words, cwd=tmp_path).json
    assert made["count"] == 40
    np.save(tmp_path / "samples.npy", pixels(few_digits.test.images))
    common = ["evaluate", "tracker=none", "samples=samples.npy", "metrics.resamples=5"]
    fid = "metrics.protocols=[fid_efficientnet_lite0]"
    against = robsynth(*common, "statistics=mnist40.npz", fid, "out=a", cwd=tmp_path).json
    direct = robsynth(*common, "metrics.protocols=[fid_train40_efficientnet_lite0]", "out=b", cwd=tmp_path).json
    assert against["figures"][0]["value"] == pytest.approx(direct["figures"][0]["value"], rel=1e-6)
    assert "mnist5k/train, first 40" in str(against["protocols"])
    refused = robsynth(*common, "statistics=mnist40.npz", "metrics.protocols=[fid]", "out=c", cwd=tmp_path)
    assert refused.status == 2
    assert "was made with efficientnet_lite0" in refused.complaint
    with np.load(tmp_path / "mnist40.npz") as ours:
        np.savez(tmp_path / "theirs.npz", mu=ours["mu"], sigma=ours["sigma"])
    theirs = robsynth(*common, "statistics=theirs.npz", fid, "out=d", cwd=tmp_path).json
    assert theirs["figures"][0]["value"] == pytest.approx(against["figures"][0]["value"])
    assert "made elsewhere" in str(theirs["protocols"])


def test_the_command_measures_what_others_made_and_a_repetition_takes_no_time(few_digits, tmp_path):
    """An ADM-style file with labels, a judge's checkpoint and a plugin of the user's own, as a user would."""
    labels = few_digits.test.labels.numpy()
    np.savez(tmp_path / "gan.npz", arr_0=pixels(few_digits.test.images), arr_1=labels)
    about = {"arch": "residual", "widths": [4, 8], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
             "label_names": list(few_digits.label_names)}  # fmt: skip
    save_classifier(tmp_path / "judge.safetensors", build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]), about)
    (tmp_path / "pooled.py").write_text(POOLED)
    words = ["evaluate", "tracker=none", "samples=gan.npz", "judge=judge.safetensors", "metrics.plugins=[pooled]",
             "metrics.protocols=[fid_train_pooled,is_2splits_efficientnet_lite0]", "metrics.resamples=5"]  # fmt: skip
    first = robsynth(*words, "out=a", cwd=tmp_path)
    assert {"fid", "is", "is_share", "judge_score", "judge_share"} <= {f["metric"] for f in first.json["figures"]}
    assert (tmp_path / first.json["report"]).is_file()
    again = robsynth(*words, "out=b", cwd=tmp_path)
    assert again.json["figures"] == first.json["figures"]
    measured = json.loads((tmp_path / "b" / "stages" / "measure.json").read_text())
    assert measured["wall_seconds"] < 2


def test_folders_that_are_called_like_classes_say_what_their_images_show(few_digits, tmp_path):
    for i, (image, label) in enumerate(zip(pixels(few_digits.test.images), few_digits.test.labels, strict=True)):
        folder = tmp_path / "images" / few_digits.label_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(folder / f"{i}.png")
    (tmp_path / "pooled.py").write_text(POOLED)
    words = [
        "evaluate",
        "tracker=none",
        "samples=images",
        "metrics.plugins=[pooled]",
        "metrics.protocols=[class_fid_train_pooled]",
    ]
    (figure,) = robsynth(*words, cwd=tmp_path).json["figures"]
    assert figure["metric"] == "class_fid"
    assert "no classes" not in figure.get("why", "")


def test_a_training_ends_with_a_curve_in_its_report(robust_run):
    directory, said = robust_run
    record = load_record(directory / "robust")
    quoted = {one["protocol"]: one["value"] for one in record.figures if "at" not in one}
    assert quoted["clean-mnist5k_test100"] == said["clean_accuracy"]
    assert said["robust_accuracy"] == min(quoted[f"{name}-l2-1.5-mnist5k_test100"] for name in ATTACKS)
    for name in ATTACKS:
        points = [one for one in record.figures if one["protocol"] == f"{name}-l2-mnist5k_test100"]
        assert [one["at"]["eps"] for one in points] == [0, 0.5, 3]
        values = [one["value"] for one in points]
        assert values == sorted(values, reverse=True)
        assert values[0] == said["clean_accuracy"]
    (plot,) = (plot for plot in all_plots(record) if plot.name == "robustness")
    assert all(f"`{name}-l2-mnist5k_test100`" in plot.caption for name in ATTACKS)
    assert (directory / "robust" / "report" / "plots" / "robustness.png").is_file()
    assert "robust accuracy (2)" in (directory / said["report"]).read_text()


def test_evaluate_measures_a_classifier_that_exists(robust_run):
    directory, said = robust_run
    words = ("evaluate", f"checkpoint={said['checkpoint']}", "metrics.attacks=[pgd3]", "metrics.attack_eps=[0.5,1.5]",
             "metrics.accuracy_count=100", "out=evaluated")  # fmt: skip
    found = robsynth(*words, cwd=directory).json
    record = load_record(directory / "evaluated")
    assert record.figures == found["figures"]
    mine = {one["protocol"]: one["value"] for one in record.figures if "at" not in one}
    theirs = {one["protocol"]: one["value"] for one in load_record(directory / "robust").figures}
    # The same attack on the same images as at the end of the training.
    shared = mine.keys() & theirs.keys()
    assert shared == {"clean-mnist5k_test100", "pgd3-l2-1.5-mnist5k_test100"}
    assert {name: mine[name] for name in shared} == {name: theirs[name] for name in shared}
    logged = inspected(directory / "evaluated")
    assert logged["tags"] == ["evaluate", "mnist5k"]
    assert {figure_key(one): one["value"] for one in record.figures}.items() <= logged["summary"].items()
    again = robsynth(*words, cwd=directory)
    assert again.stderr.count("done before") == 1
    assert again.json == found


def test_evaluate_says_what_it_lacks(robust_run, tmp_path):
    directory, said = robust_run
    foreign = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    about = {"arch": "compact", "widths": [4, 8, 8, 16], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
             "label_names": list("0123456789")}  # fmt: skip
    save_classifier(tmp_path / "foreign.safetensors", foreign, about)
    robust = f"checkpoint={directory / said['checkpoint']}"
    foreign_one = f"checkpoint={tmp_path / 'foreign.safetensors'}"
    for words, complaint in {
        (foreign_one,): r"norm: none given, and the classifier names no adversary",
        (foreign_one, "norm=l2"): r"metrics\.attack_eps: none given",
        (robust, "samples=x"): r"samples: found x, but a classifier too",
        ("samples=x", "norm=l2"): r"norm: found l2, but no classifier",
        ("checkpoint=absent",): r"classifier\.checkpoint: no file absent",
    }.items():
        with pytest.raises(RequestError, match=f"^{complaint}"):
            evaluate.run(load_config("evaluate", [*words, f"out={tmp_path / 'out'}"]))
    assert not (tmp_path / "out").exists()
