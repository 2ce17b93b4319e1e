"""What is rendered comes from records, and says what they say."""

import csv
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness import ROOT, robsynth
from made import figure, record_of, texts, without_pictures
from robsynth.errors import RequestError
from robsynth.records.figures import FIGURE_COLUMNS, METRICS, figure_row, to_csv
from robsynth.records.record import load_record
from robsynth.reports import fill_readme, render
from robsynth.reports.formats import SPECIAL, in_latex, latex, markdown
from robsynth.reports.plots import all_plots
from robsynth.reports.published import beside_ours, load_published, published_file, results_table
from robsynth.reports.tables import TABLES, Cell, Table, all_tables, costs_table, figures_table, unavailable

RESULTS = sorted(path.parent for path in (ROOT / "results").glob("*/record.json"))


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_committed_reports_are_what_their_records_render_to(results, tmp_path):
    render(results, tmp_path)
    for name in ("tables.md", "tables.tex", "figures.csv"):
        assert (tmp_path / name).read_text() == (results / name).read_text()
    page = (tmp_path / "index.html").read_text()
    assert without_pictures(page) == without_pictures((results / "index.html").read_text())
    for picture in load_record(results).pictures:
        assert (tmp_path / picture["file"]).read_bytes() == (results / picture["file"]).read_bytes()


def test_readmes_figures_are_rendered_from_their_records():
    readme = ROOT / "README.md"
    assert "| FID" in readme.read_text()
    assert "| Table 1, CIFAR-10 | `robsynth reproduce experiment=table1_inception_score` |" in readme.read_text()
    assert fill_readme(readme) == readme.read_text()


def test_the_page_is_self_contained(smoke):
    page = (smoke[0] / "report" / "index.html").read_text()
    record = load_record(smoke[0])
    assert page.count("data:image/png;base64,") == len(record.pictures) + len(all_plots(record))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert all(figure["protocol"] in page for figure in record.figures)


def test_the_links_of_a_page_lead_to_its_sections(tmp_path):
    record_of([figure("a", "fid", 1.0, "p"), figure("a", "is", None, "q", why="no logits")]).save(tmp_path)
    render(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    links = re.findall(r'href="#([^"]+)"', page)
    assert links == re.findall(r'id="([^"]+)"', page)
    assert {"sets-of-images", "not-available", "costs", "protocols"} <= set(links)


def test_a_cell_of_the_page_says_its_protocol_to_who_points_at_it(tmp_path):
    record_of([figure("a<b", "kid", 1.26, "kid<9", spread=0.2, error=0.0213, count=50)]).save(tmp_path)
    render(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    title = "kid&lt;9; 50 images; ± standard deviation"
    assert f'<td title="{title}">1.3 <span class="range">± 0.2</span></td>' in page
    assert "a&lt;b" in page


def test_every_metric_has_its_place_in_one_table():
    assert sorted(metric for metrics in TABLES.values() for metric in metrics) == sorted(METRICS)


def test_two_protocols_never_share_a_column():
    record = record_of([figure("a", "fid", 1.0, "p"), figure("b", "fid", 2.0, "q"), figure("b", "fid", 3.0, "p")])
    table = figures_table(record, "t", ("fid",))
    assert table.header == ["", "FID (1) ↓", "FID (2) ↓"]
    assert texts(table) == [["a", "1.0", ""], ["b", "3.0", "2.0"]]
    assert table.notes == ["Protocols: FID (1) ↓: `p`; FID (2) ↓: `q`."]


def test_a_cell_shows_spread_and_interval_as_far_as_there_are_and_says_what_they_are():
    record = record_of([
        figure("both", "fid", 154.31, "p", interval=[150.06, 158.64], spread=3.0),
        figure("spread", "fid", 78.2, "p", spread=5.42),
        figure("both", "kid", 8.25, "k", interval=(7.1, 9.5), spread=1.3),
        figure("before", "kid", 8.25, "k", error=0.18, spread=1.3),
        figure("neither", "fid", 61.0, "p", error=2.0),
        figure("infinite", "psnr", float("inf"), "q", interval=[float("nan"), float("nan")]),
    ])  # fmt: skip
    assert texts(figures_table(record, "t", ("fid",))) == [
        ["both", "154.3 ± 3.0 [150.1, 158.6]"], ["spread", "78.2 ± 5.4"], ["neither", "61.0"],
    ]  # fmt: skip
    kid = figures_table(record, "t", ("kid",))
    assert texts(kid) == [["both", "8.2 ± 1.3 [7.1, 9.5]"], ["before", "8.2 ± 1.3"]]
    assert [row[1].title for row in kid.rows] == ["k; ± standard deviation; 95 % interval", "k; ± standard deviation"]
    assert texts(figures_table(record, "t", ("psnr",))) == [["infinite", "inf"]]


def test_costs_have_columns_of_a_gpu_where_some_stage_used_one():
    plain = {"name": "samples", "wall_seconds": 10.4, "cpu_seconds": 19.6, "peak_memory_gb": 1.25}
    table = costs_table(record_of([], stages=[plain]))
    assert table.header == ["stage", "wall s", "CPU s", "peak GiB so far"]
    assert texts(table) == [["samples", "10", "20", "1.2"], ["all", "10", "20", "1.2"]]
    on_gpu = {**plain, "name": "train", "gpu_seconds": 8.0, "peak_gpu_memory_gb": 3.5}
    table = costs_table(record_of([], stages=[plain, on_gpu]))
    assert table.header == ["stage", "wall s", "CPU s", "GPU s", "peak GiB so far", "peak GPU GiB so far"]
    assert texts(table)[0] == ["samples", "10", "20", "0", "1.2", "0.0"]
    assert texts(table)[2] == ["all", "21", "39", "8", "1.2", "3.5"]
    assert texts(costs_table(record_of([]))) == [["all", "0", "0", "0.0"]]


def test_a_missing_figure_says_why_and_is_no_number():
    record = record_of([figure("a", "is", None, "p", why="no logits")])
    assert texts(figures_table(record, "t", ("is",))) == [["a", "n/a"]]
    assert unavailable(record) == ["Inception Score: no logits"]
    assert len(all_tables(record)) == 1


def test_the_points_of_a_curve_stand_in_no_table():
    record = record_of([figure("generation", "fid", 9.0, "p", at={"steps": 20})])
    assert all_tables(record) == []


def test_markdown_keeps_its_columns_whatever_stands_in_them():
    table = Table("t", ["a|b", "c"], [[Cell("x|y\nz"), Cell("1", "± 2", best=True)]], ["Note."])
    assert markdown(table) == "| a\\|b | c |\n| --- | ---: |\n| x\\|y z | **1 ± 2** |\n\nNote."


UNESCAPED = {"$-$": "-", **{written: sign for sign, written in SPECIAL.items() if sign != "\n"}}
WRITTEN = re.compile("|".join(map(re.escape, sorted(UNESCAPED, key=len, reverse=True))))


@given(st.text(st.sampled_from("".join(SPECIAL) + "ab-1[] ")))
def test_latex_reads_back_as_the_text_that_was_escaped(text):
    escaped = in_latex(text)
    assert WRITTEN.sub(lambda found: UNESCAPED[found[0]], escaped) == text.replace("\n", " ")
    assert not set(WRITTEN.sub("", escaped)) & set("&%$#_{}\\~^<>|")


def test_latex_has_every_cell_in_its_column():
    rows = [[Cell("50 % of a_b"), Cell("-0.3", "± 0.5")], [Cell("[x]"), Cell("2.0", best=True)]]
    lines = latex([Table("R & D", ["", "FID ↓"], rows, ["See `fid_train`."])]).splitlines()
    assert lines[:5] == [
        r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering", r"\caption{R \& D}", r"\begin{tabular}{lr}",
    ]  # fmt: skip
    assert lines[5:-2] == [
        r"\toprule", r" & FID $\downarrow$ \\", r"\midrule", r"50 \% of a\_b & $-$0.3 $\pm$ 0.5 \\",
        r"{}[x] & \textbf{2.0} \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    assert lines[-2] == r"\par\footnotesize See \texttt{fid\_\allowbreak{}train}."


def test_the_csv_has_a_row_for_each_figure():
    figures = [
        figure("a, b", "fid", 1.25, "p", interval=[1.0, 1.5], count=50),
        figure("a, b", "is", None, "q", why='no "logits"'),
        figure("a, b", "fid", 2.0, "p", at={"steps": 20}),
    ]
    read = list(csv.DictReader(io.StringIO(to_csv(FIGURE_COLUMNS, map(figure_row, figures)))))
    assert [(row["subject"], row["value"], row["low"], row["high"], row["seeds"]) for row in read] == [
        ("a, b", "1.25", "1.0", "1.5", "1"), ("a, b", "", "", "", "1"), ("a, b", "2.0", "", "", "1"),
    ]  # fmt: skip
    assert [(row["count"], row["at"], row["why"]) for row in read] == [
        ("50", "", ""), ("", "", 'no "logits"'), ("", "steps=20", ""),
    ]  # fmt: skip


def test_plots_have_a_panel_for_each_protocol_and_a_file_for_each_axis(tmp_path):
    points = [
        figure("generation", metric, 10.0 + at, "p", at={axis: at}, interval=[5.0, 9.0])
        for metric in ("fid", "judge_share") for axis in ("steps", "eps") for at in (4, 2)
    ]  # fmt: skip
    by_class = figure("generation", "class_fid", 3.0, "c", per_class={"cat": 2.0, "dog": 4.0})
    history = {"judge": [{"epoch": 1, "loss": 2.0, "cpu_seconds": 1.0}, {"epoch": 2, "loss": 1.0, "cpu_seconds": 2.0}]}
    record = record_of([*points, by_class], history=history)
    plots = {plot.name: plot for plot in all_plots(record)}
    assert list(plots) == ["against_steps", "against_eps", "by_class_1_class_fid", "training"]
    assert plots["against_steps"].caption.endswith("FID: `p`; wanted class: `p`")
    record.save(tmp_path)
    render(tmp_path, tmp_path / "out")
    widths = {path.stem: Image.open(path).width for path in (tmp_path / "out" / "plots").iterdir()}
    assert set(widths) == set(plots)
    assert widths["against_steps"] == 2 * widths["training"]
    assert all_plots(record_of([figure("a", "fid", 1.0, "p")])) == []


REAL = {"name": "cifar10", "source": "made up", "fingerprint": "f00"}


def test_published_figures_stand_beside_ours_and_never_in_their_column():
    record = record_of(
        [
            figure("generation", "is", 8.1, "is400", count=400, spread=0.4),
            figure("generation", "fid", 61.2, "fid400", count=400),
            figure("inpainting", "is", 9.0, "is400", count=400),
            figure("robust classifier", "clean_accuracy", 0.828, "clean"),
        ],
        data=REAL,
    )
    record.config = {"adversary": {"eps": 0.5}}
    beside, others = beside_ours(record)
    assert [row[4:] for row in texts(beside) if row[0] == "Table 1, CIFAR-10"] == [
        ["8.10 ± 0.40", "400", "1", "`is400`"]
    ]
    accuracies = [(row[2], row[4]) for row in texts(beside) if row[1] == "clean accuracy ↑"]
    # Not those of the classifier that was trained at eps 1.
    assert accuracies == [("0.9083", "0.8280")]
    assert beside.header[2:5] == ["reported", "its source and protocol", "ours"]
    assert "not measured here" in beside.notes[0]
    assert "not measured here" in others.title
    assert ["training data", "Inception Score ↑", "11.2 (unverified)"] in [row[:3] for row in texts(others)]
    assert ["DAT T=50", "FID ↓", "7.57"] in [row[:3] for row in texts(others)]


def test_a_score_under_another_network_does_not_stand_beside_a_published_score():
    record = record_of(
        [figure("generation", "is", 3.9, "is400_lite"), figure("generation", "is_share", 0.6, "is400_lite")], data=REAL
    )
    record.protocols["is400_lite"] = {"extractor": "EfficientNet-Lite0"}
    found = {row[0]: row[4] for row in texts(beside_ours(record)[0])}
    assert found == {"Table 1, CIFAR-10, as a share": "0.600"}


def test_where_only_pictures_were_published_our_figure_stands_beside_the_word():
    figures = [figure("inpainting", "psnr", 21.28, "psnr400", count=400), figure("inpainting", "fid", 3.0, "fid400")]
    (beside,) = beside_ours(record_of(figures, data={**REAL, "name": "restricted_imagenet"}))
    assert [row[:3] + row[4:5] for row in texts(beside)] == [["Inpainting", "PSNR, dB ↑", "pictures", "21.28"]]


def test_about_data_that_nobody_published_on_nothing_is_reported():
    assert beside_ours(record_of([figure("generation", "is", 8.1, "is400")])) == []


ENTRY = {"result": "T", "metric": "is", "value": 7.5, "data": "CIFAR-10", "system": "somebody", "protocol": None,
         "source": "s", "verified": True}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"verified": "yes"}, "T: verified: found 'yes', allowed: true, false"),
        ({"metric": "fit"}, "T: metric: found 'fit', allowed: null, fid, "),
        ({"value": "7.5"}, "T: value: found '7.5', allowed: a number, null"),
        ({"value": True}, "T: value: found True"),
        ({"value": None}, "T: found metric is with value None, allowed: both, or neither"),
    ],
)
def test_a_published_figure_that_is_none_is_refused(changes, complaint, tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump([{**ENTRY, **changes}]))
    with pytest.raises(RequestError, match=re.escape(complaint)):
        load_published(path)


@pytest.mark.parametrize("key", ENTRY)
def test_a_published_figure_without_one_of_its_keys_is_refused(key, tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump([{name: value for name, value in ENTRY.items() if name != key}]))
    with pytest.raises(RequestError, match=f"has no {key}"):
        load_published(path)


@pytest.mark.parametrize("content", ["7", "[1]", "", "a: [", "result: T"])
def test_a_file_that_holds_no_published_figures_is_refused(content, tmp_path):
    (tmp_path / "published.yaml").write_text(content)
    with pytest.raises(RequestError, match=r"published\.yaml: "):
        load_published(tmp_path / "published.yaml")


def test_the_published_figures_ship_with_the_package(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(wheel).read("robsynth/published.yaml") == published_file().read_bytes()


def test_results_of_the_paper_stand_beside_ours_with_their_metric_and_where_from(tmp_path):
    record = record_of([
        figure("generation", "fid", 70.0, "p", at={"steps": 5}), figure("generation", "fid", 61.23, "p"),
        figure("generation", "is", None, "q", why="no logits"),
    ])  # fmt: skip
    record.experiment = "small"
    record.save(tmp_path / "results")
    ours = [{"record": "results/record.json", "subject": "generation", "metric": m} for m in ("is", "fid")]
    known = {**ENTRY, "system": "the paper", "verified": False, "command": "robsynth x", "needs": "GPUs", "ours": ours}
    (tmp_path / "published.yaml").write_text(yaml.safe_dump([known, ENTRY]))
    table = results_table(tmp_path / "published.yaml", tmp_path)
    link = "([small](results/tables.md))"
    assert texts(table) == [
        ["T", "`robsynth x`", "GPUs", "Inception Score 7.5 (unverified)",
         f"generation: Inception Score not available {link}; generation: FID 61.2 {link}"],
    ]  # fmt: skip


def test_warnings_of_the_run_are_told(tmp_path):
    record_of([], warnings=["generation: 3 images are one colour"]).save(tmp_path)
    render(tmp_path, tmp_path / "out")
    assert "generation: 3 images are one colour" in (tmp_path / "out" / "tables.md").read_text()
    assert "generation: 3 images are one colour" in (tmp_path / "out" / "index.html").read_text()


DIGITS = ROOT / "results" / "mnist5k"


def test_report_works_from_the_record_and_its_pictures_alone(tmp_path):
    done = robsynth("report", f"record={DIGITS / 'record.json'}", f"out={tmp_path / 'copy'}", cwd=tmp_path)
    assert set(done.json) == {"tables", "latex", "figures", "page"}
    moved = robsynth("report", "record=copy", "out=again", cwd=tmp_path)
    assert Path(tmp_path / moved.json["tables"]).read_text() == (DIGITS / "tables.md").read_text()


def test_a_report_starts_without_torch_or_numpy():
    """Torch alone would take longer to import than a report may."""
    code = "import sys, robsynth.commands.report, robsynth.config.compose; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "matplotlib"} & set(done.stdout.split())


def test_a_picture_that_was_lost_is_named(tmp_path):
    render(DIGITS, tmp_path)
    (tmp_path / "pictures" / "ascent.png").unlink()
    with pytest.raises(RequestError, match=r"ascent\.png"):
        render(tmp_path, tmp_path / "out")


def test_a_readmes_text_block_holds_the_file(tmp_path):
    (tmp_path / "some.md").write_text("what was measured\n")
    record = ROOT / "results" / "mnist5k" / "record.json"
    (tmp_path / "record.json").write_bytes(record.read_bytes())
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- text: some.md -->\nold\n<!-- end of text -->\n<!-- figures: record.json -->\n<!-- end of figures -->"
    )
    assert fill_readme(readme).startswith("<!-- text: some.md -->\n\nwhat was measured\n\n<!-- end of text -->\n")
    (tmp_path / "some.md").unlink()
    with pytest.raises(RequestError, match=r"some\.md cannot be read"):
        fill_readme(readme)
