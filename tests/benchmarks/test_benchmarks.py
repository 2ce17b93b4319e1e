"""What the benchmarks say is rendered from their records."""

import importlib.util
import json

import pytest

from harness import ROOT

RECORDS = sorted((ROOT / "results" / "benchmarks").glob("*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_benchmarks_table_is_what_its_record_renders_to(path):
    script = ROOT / "experiments" / "benchmarks" / f"{path.stem}.py"
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    record = json.loads(path.read_text())
    assert path.with_suffix(".md").read_text() == module.render(record)
    assert "+changes" not in record["commit"]


def test_evaluation_was_measured_to_agree_with_torch_fidelity_and_to_be_faster():
    record = json.loads((ROOT / "results" / "benchmarks" / "evaluation.json").read_text())
    rows = {row["way"]: row for row in record["rows"]}
    theirs, ours = rows["torch-fidelity 0.4, fp32"], rows["robsynth, fp32"]
    assert ours["seconds"] < theirs["seconds"]
    assert ours["figures"]["fid"] == pytest.approx(theirs["figures"]["fid"], rel=1e-6)
    assert ours["figures"]["kid"] == pytest.approx(theirs["figures"]["kid"], abs=1e-5)
    assert ours["figures"]["is"] == pytest.approx(theirs["figures"]["is"], abs=1e-5)
    assert rows["robsynth, 50,000 images, features for nothing"]["peak_gb"] < 2
