"""A task, an objective, a network and a metric of one's own, as the documents show them: in one file."""

import re
import shlex

import pytest

from harness import ROOT, robsynth
from robsynth.records.record import load_record
from robsynth.samples import load_samples

DOCUMENT = ROOT / "docs" / "how_it_is_built.md"


@pytest.mark.slow
def test_what_the_document_shows_works(tmp_path):
    text = DOCUMENT.read_text().partition("## One file more")[2]
    (module,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (tmp_path / "darkening.py").write_text(module)
    train, synthesize, evaluate = [shlex.split(line)[1:] for line in re.findall(r"^    (robsynth .+)$", text, re.M)]
    small = ("recipe.epochs=1", "metrics.attacks=[]", "tracker=none")
    trained = robsynth(*train, *small, "adversary=none", cwd=tmp_path).json
    assert trained["checkpoint"] == "runs/two_layers/classifier/classifier.safetensors"
    made = robsynth(*synthesize, "samples.count=12", "task.steps=3", "tracker=none", cwd=tmp_path).json
    assert made["count"] == 12
    found = load_samples(tmp_path / "runs" / "dark")
    assert (found.start <= 0.3 * found.original.astype(float) + 1).all()
    said = robsynth(*evaluate, "tracker=none", cwd=tmp_path).json
    (figure,) = (figure for figure in said["figures"] if figure["metric"] == "feature_size")
    assert figure["value"] > 0
    record = load_record(tmp_path / said["record"])
    assert record.config["plugins"] == ["darkening"]
    refused = robsynth("synthesize", "task=darkening", "classifier=cifar10_laptop", cwd=tmp_path)
    assert (refused.status, "task: found 'darkening', allowed: generation" in refused.complaint) == (2, True)
