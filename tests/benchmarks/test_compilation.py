"""The benchmark of `torch.compile`, at a tiny size and without the compiler, which takes a minute."""

import json

import pytest
import torch

import compilation


def test_the_benchmark_measures_both_ways_and_its_table_is_rendered_from_its_record(tmp_path, monkeypatch):
    ways = {**compilation.WAYS, "torch.compile": lambda network: torch.compile(network, backend="eager")}
    monkeypatch.setattr(compilation, "WAYS", ways)
    compilation.main(tmp_path, [("compact", [4, 8, 8, 16], 1)], batch=4, repeats=2)
    record = json.loads((tmp_path / "compilation.json").read_text())
    assert [(row["part"], row["way"]) for row in record["rows"]] == [
        (part, way) for part in ("training", "generation") for way in ways
    ]
    assert all(len(row["seconds"]) == 2 and min(row["seconds"]) > 0 for row in record["rows"])
    assert (tmp_path / "compilation.md").read_text() == compilation.render(record)


@pytest.mark.parametrize(("seconds", "paid"), [([0.5, 0.5], "400"), ([1.0, 1.0], "never")])
def test_compiling_has_paid_when_what_it_saved_is_what_it_cost(seconds, paid):
    about = {"arch": "compact", "widths": [4], "part": "training"}
    rows = [{**about, "first": 1.0, "seconds": [1.0, 1.0]}, {**about, "first": seconds[0] + 2, "seconds": seconds}]
    where = {"precision": "fp32", "threads": 2, "processor": "p"}
    table = compilation.render({"machine": where, "batch": 100, "versions": {"torch": "2"}, "rows": rows})
    assert table.splitlines()[-1].endswith(f"| 2 | {paid} |")
