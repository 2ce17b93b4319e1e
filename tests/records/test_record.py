"""A record comes back from disk as it was written, and nothing else passes for one."""

import pytest

from made import figure, record_of
from robsynth.errors import RequestError
from robsynth.records.record import Record, load_record
from robsynth.records.sweep import load_sweep


def test_a_record_comes_back_as_it_was(tmp_path):
    record = record_of([figure("a", "fid", 1.0, "p")], warnings=["odd"])
    path = record.save(tmp_path)
    assert load_record(path) == load_record(tmp_path) == record


def test_the_record_of_a_run_is_not_a_sweeps(tmp_path):
    path = record_of([]).save(tmp_path)
    with pytest.raises(RequestError, match=r"record\.json: not a record \(allowed: robsynth-sweep-1\)"):
        load_sweep(path)


@pytest.mark.parametrize("content", ["", "[]", '{"format": "robsynth-record-1"}', '{"format": "other"}', "{}"])
def test_what_is_no_record_is_refused(tmp_path, content):
    (tmp_path / Record.FILE).write_text(content)
    with pytest.raises(RequestError, match=r"record\.json"):
        load_record(tmp_path)
