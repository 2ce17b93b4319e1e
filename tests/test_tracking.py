"""What a tracker holds is what the record holds, however the run goes; and it never costs a run."""

import json
import subprocess
import sys
from pathlib import Path

from conftest import robsynth
from robsynth.records.record import Record, load_record
from robsynth.records.rows import figure_key

TINY = (
    "train", "dataset=mnist5k", "classifier.widths=[4,8,8,16]", "adversary=none", "recipe.epochs=2", "out=run",
    "recipe.batch_size=500", "metrics.attack_steps=1", "metrics.accuracy_count=100",
)  # fmt: skip


def inspected(run: Path) -> dict:
    """The one offline run, read back by W&B's own tool."""
    (directory,) = (run / "wandb").glob("offline-run-*")
    words = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--summary", "--json", str(directory)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def summary_of(record: Record) -> dict:
    """What W&B's summary has to hold: every figure, and the last epoch of every training."""
    figures = {figure_key(one): "not available" if one["value"] is None else one["value"] for one in record.figures}
    last = {f"{name}/{key}": value for name, rows in record.history.items() for key, value in rows[-1].items()}
    return figures | {key: value for key, value in last.items() if not key.endswith("/epoch")}


def test_wandb_holds_what_the_record_holds(tmp_path):
    robsynth(*TINY, "tracker.group=eps", cwd=tmp_path)
    run = tmp_path / "run"
    record, found = load_record(run), inspected(run)
    expected = summary_of(record)
    assert len(expected) >= len(record.figures) + 3
    assert {key: found["summary"][key] for key in expected} == expected
    assert found["summary"]["epoch"] == 2
