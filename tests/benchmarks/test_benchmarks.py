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
