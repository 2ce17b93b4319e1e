"""What is rendered comes from records, and says what they say."""

import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, robsynth
from robsynth.errors import RequestError
from robsynth.records.record import Record, load_record
from robsynth.reports import fill_readme, render
from robsynth.reports.published import results_table
from robsynth.reports.tables import all_tables, figures_table, unavailable

RESULTS = sorted(path.parent for path in (ROOT / "results").glob("*/record.json"))


def without_pictures(page: str) -> str:
    """The page but for its embedded PNGs, whose bytes depend on the version of the plotting library."""
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", page)


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_committed_reports_are_what_their_records_render_to(results, tmp_path):
    render(results, tmp_path)
    assert (tmp_path / "tables.md").read_text() == (results / "tables.md").read_text()
    page = (tmp_path / "index.html").read_text()
    assert without_pictures(page) == without_pictures((results / "index.html").read_text())
    for picture in load_record(results).pictures:
        assert (tmp_path / picture["file"]).read_bytes() == (results / picture["file"]).read_bytes()


@pytest.mark.parametrize("name", ["mnist5k", "cifar10_laptop", "restricted_imagenet_laptop", "cats_vs_dogs_laptop"])
def test_there_are_committed_results_of_a_real_run(name):
    record = load_record(ROOT / "results" / name)
    assert (record.experiment, record.scale) == (name, "laptop")
    assert record.commit
    assert "+changes" not in record.commit
    assert (ROOT / "experiments" / name / "README.md").is_file()
    assert {"generation", "translation", "real"} <= {picture["name"] for picture in record.pictures}


def test_readmes_figures_are_rendered_from_their_records():
    readme = ROOT / "README.md"
    assert "| FID" in readme.read_text()
    assert "| Table 1, CIFAR-10 | `robsynth reproduce experiment=table1_inception_score` |" in readme.read_text()
    assert fill_readme(readme) == readme.read_text()


def test_the_page_is_self_contained(smoke):
    page = (smoke[0] / "report" / "index.html").read_text()
    record = load_record(smoke[0])
    assert page.count("data:image/png;base64,") == len(record.pictures) + 1
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert all(figure["protocol"] in page for figure in record.figures)
    assert "final layer" in page


def test_results_of_the_paper_stand_beside_ours_with_their_metric_and_where_from(tmp_path):
    record = make([figure("generation", "fid", 61.23, "p"), figure("generation", "is", None, "q", why="no logits")])
    record.experiment = "small"
    record.save(tmp_path / "results")
    ours = [{"record": "results/record.json", "subject": "generation", "metric": m} for m in ("is", "fid")]
    known = {"result": "T", "system": "the paper", "metric": "is", "value": 7.5, "source": "s", "verified": False}
    other = {"result": "U", "system": "somebody", "value": 1, "source": "s", "verified": True}
    entries = [{**known, "command": "robsynth x", "needs": "GPUs", "ours": ours}, other]
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(entries))
    table = results_table(tmp_path / "published.yaml", tmp_path)
    link = "([small](results/tables.md))"
    assert table.rows == [
        ["T", "`robsynth x`", "GPUs", "Inception Score 7.5 (unverified)",
         f"generation: Inception Score not available {link}; generation: FID 61.2 {link}"],
    ]  # fmt: skip
    (tmp_path / "published.yaml").write_text("- {result: T, verified: true}")
    with pytest.raises(RequestError, match="T has no source"):
        results_table(tmp_path / "published.yaml", tmp_path)


def make(figures):
    protocols = {figure["protocol"]: {} for figure in figures}
    return Record(
        "r", "reproduce", None, None, "", "", 0, None, {}, {}, {}, {}, [], figures, protocols
    )  # fmt: skip


def figure(subject, metric, value, protocol, **more):
    return {"subject": subject, "metric": metric, "value": value, "protocol": protocol, **more}


def test_two_protocols_never_share_a_column():
    record = make([figure("a", "fid", 1.0, "p"), figure("b", "fid", 2.0, "q"), figure("b", "fid", 3.0, "p")])
    table = figures_table(record, "t", ["fid"])
    assert table.header == ["", "FID (1) ↓", "FID (2) ↓"]
    assert table.rows == [["a", "1.0", ""], ["b", "3.0", "2.0"]]
    assert [note.split("`")[1] for note in table.notes] == ["p", "q"]


def test_a_missing_figure_says_why_and_is_no_number():
    record = make([figure("a", "is", None, "p", why="no logits")])
    assert figures_table(record, "t", ["is"]).rows == [["a", "n/a"]]
    assert unavailable(record) == ["Inception Score: no logits"]
    assert len(all_tables(record)) == 1


def test_report_works_from_the_record_and_its_pictures_alone(smoke, tmp_path):
    source = smoke[0]
    done = robsynth("report", f"record={source / 'record.json'}", f"out={tmp_path / 'copy'}", cwd=tmp_path)
    assert set(done.json) == {"tables", "page"}
    moved = robsynth("report", "record=copy", "out=again", cwd=tmp_path)
    assert Path(tmp_path / moved.json["tables"]).read_text() == (source / "report" / "tables.md").read_text()


def test_a_picture_that_was_lost_is_named(smoke, tmp_path):
    render(smoke[0], tmp_path)
    (tmp_path / "pictures" / "ascent.png").unlink()
    with pytest.raises(RequestError, match=r"ascent\.png"):
        render(tmp_path, tmp_path / "out")


def test_what_is_no_record_is_refused(tmp_path):
    for content in ("", "[]", '{"format": "robsynth-record-1"}', '{"format": "other"}'):
        (tmp_path / "record.json").write_text(content)
        with pytest.raises(RequestError, match=r"record\.json"):
            load_record(tmp_path)
