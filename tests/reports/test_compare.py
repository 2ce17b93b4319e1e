"""Several runs side by side: what differs, and what is a mean over seeds."""

import csv
import json
import re

import pytest
from scipy import stats

from harness import ROOT, robsynth
from made import figure, record_of, texts
from robsynth.errors import RequestError
from robsynth.reports import compare
from robsynth.reports.comparison import Comparison


def saved(tmp_path, name, figures, seed=0, **settings):
    """The directory of a record with these figures and settings."""
    record_of(figures, seed=seed, config={"seed": seed, "out": name, **settings}).save(tmp_path / name)
    return tmp_path / name


def comparison(*paths):
    return Comparison(list(paths))


def only_column(*paths):
    """The figures of runs that are one column."""
    (figures,) = comparison(*paths).figures
    return list(figures.values())


def test_runs_that_differ_in_the_seed_alone_become_mean_deviation_and_t_interval(tmp_path):
    values = [60.0, 63.0, 66.0]
    paths = [saved(tmp_path, f"s{seed}", [figure("generation", "fid", v, "p", interval=[0, 99])], seed)
             for seed, v in enumerate(values)]  # fmt: skip
    (found,) = only_column(*paths)
    assert (found["value"], found["spread"], found["seeds"]) == (63.0, pytest.approx(3.0), 3)
    assert found["interval"] == pytest.approx(stats.t.interval(0.95, 2, 63.0, stats.sem(values)))
    table = comparison(*paths).figures_table()
    assert table.header[3:] == ["s0 and 2 other seeds"]
    assert texts(table) == [["generation", "FID ↓", "`p`", "63.0 ± 3.0 [55.5, 70.5]"]]


def test_a_seed_without_a_figure_does_not_count(tmp_path):
    a = saved(tmp_path, "a", [figure("generation", "fid", 60.0, "p")], 0)
    b = saved(tmp_path, "b", [figure("generation", "fid", None, "p", why="lost")], 1)
    (found,) = only_column(a, b)
    assert (found["value"], found["seeds"], "spread" in found) == (60.0, 1, False)


def test_how_a_run_is_shared_out_and_where_it_lies_keep_no_seeds_apart(tmp_path):
    incidental = {
        "trainer": {"name": "gloo", "processes": 2}, "device": "cpu", "precision": "auto", "tracker": {"name": "csv"},
        "force": True, "debug": True,
    }  # fmt: skip
    shared = saved(tmp_path, "shared", [figure("generation", "fid", 60.0, "p")], 0, epochs=3, **incidental)
    alone = saved(tmp_path, "alone", [figure("generation", "fid", 62.0, "p")], 1, epochs=3, trainer={"processes": 1})
    (found,) = only_column(shared, alone)
    assert (found["value"], found["seeds"]) == (61.0, 2)
    assert comparison(shared, alone).settings_table().rows == []


def test_of_a_figure_that_is_infinite_for_one_seed_there_is_no_interval(tmp_path):
    paths = [saved(tmp_path, f"s{seed}", [figure("inpainting", "psnr", value, "p")], seed)
             for seed, value in enumerate((20.0, float("inf")))]  # fmt: skip
    assert texts(comparison(*paths).figures_table()) == [["inpainting", "PSNR, dB ↑", "`p`", "inf ± nan"]]


def test_the_same_run_once_more_is_another_column(tmp_path):
    paths = [saved(tmp_path, name, [], 0) for name in ("a", "b")]
    assert comparison(*paths).names == ["a", "b"]


def test_only_settings_that_differ_are_shown(tmp_path):
    a = saved(tmp_path, "a", [], recipe={"epochs": 3, "ema": 0.9}, select=["x"])
    b = saved(tmp_path, "b", [], recipe={"epochs": 5, "ema": 0.9}, select=["x"], extra=1)
    table = comparison(a, b).settings_table()
    assert table.header == ["setting", "a", "b"]
    assert texts(table) == [["`recipe.epochs`", "3", "5"], ["`extra`", "not set", "1"]]


def test_that_no_setting_differs_is_said(tmp_path):
    table = comparison(*[saved(tmp_path, name, [], 0) for name in ("a", "b")]).settings_table()
    assert (table.rows, table.notes) == ([], ["No setting differs."])


def test_the_best_of_a_row_is_bold_by_the_direction_of_its_metric(tmp_path):
    def run(name, epochs, fid, psnr):
        figures = [figure("inpainting", "fid", fid, "p"), figure("inpainting", "psnr", psnr, "q"),
                   figure("inpainting", "ssim", 0.5, "r")]  # fmt: skip
        return saved(tmp_path, name, figures, epochs=epochs)

    table = comparison(run("a", 1, 9.0, 20.0), run("b", 2, 8.0, 19.0), run("c", 3, None, 20.0)).figures_table()
    bold = [[cell.best for cell in row[3:]] for row in table.rows]
    assert texts(table)[0][3:] == ["9.0", "8.0", "n/a"]
    assert bold == [[False, True, False], [True, False, True]]
    assert table.notes == ["Left out, as they are the same in all: 1."]


def test_protocols_that_differ_in_their_details_alone_never_share_a_row(tmp_path):
    paths = []
    for name, images in (("a", 100), ("b", 200)):
        record = record_of([figure("generation", "fid", 60.0, "p")], config={"epochs": images})
        record.protocols["p"] = {"images": images, "seed": 5}
        record.save(tmp_path / name)
        paths.append(tmp_path / name)
    with compare(paths, tmp_path / "out")["figures"].open() as file:
        assert [row["protocol"] for row in csv.DictReader(file)] == ["p (1)", "p (2)"]
    table = comparison(*paths).figures_table()
    assert texts(table) == [
        ["generation", "FID ↓", "`p (1)`", "60.0", ""],
        ["generation", "FID ↓", "`p (2)`", "", "60.0"],
    ]


def test_what_follows_from_the_seed_does_not_keep_seeds_apart(tmp_path):
    paths = []
    for seed, judge in enumerate(("abc1", "abd2")):
        figures = [figure("x", "judge_share", 0.5 + seed, f"share-{judge}"), figure("x", "robust_accuracy", 0.5, "pgd")]
        record = record_of(figures, seed=seed)
        record.protocols = {f"share-{judge}": {"judge": judge, "images": 9}, "pgd": {"seed": seed}}
        record.save(tmp_path / judge)
        paths.append(tmp_path / judge)
    share, robust = only_column(*paths)
    assert (share["protocol"], share["details"]) == ("share-ab…", {"judge": "abc1; abd2", "images": 9})
    assert (share["value"], share["seeds"]) == (1.0, 2)
    assert (robust["protocol"], robust["details"], robust["seeds"]) == ("pgd", {}, 2)


def test_records_from_directories_of_one_name_are_numbered(tmp_path):
    paths = [saved(tmp_path / place, "run", [], 0, epochs=place) for place in ("here", "there")]
    assert comparison(*paths).names == ["run (1)", "run (2)"]


def test_one_record_or_the_same_twice_is_refused(tmp_path):
    path = saved(tmp_path, "a", [])
    with pytest.raises(RequestError, match="records: found 1, allowed: two or more"):
        comparison(path)
    with pytest.raises(RequestError, match=r"records: found .*a twice, allowed: once"):
        comparison(path, path / "record.json")


def test_real_records_compare_on_a_page_of_their_own(tmp_path):
    paths = [ROOT / "results" / name for name in ("cifar10_laptop", "mnist5k")]
    written = compare(paths, tmp_path)
    page = written["page"].read_text()
    pictures = {path: len(json.loads((path / "record.json").read_text())["pictures"]) for path in paths}
    assert page.count("data:image/png;base64,") == sum(pictures.values())
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "| `adversary.eps` | 0.5 | 1.5 |" in written["tables"].read_text()
    with written["figures"].open() as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {"cifar10_laptop", "mnist5k"}
    assert all(row["seeds"] == "1" for row in rows)


def test_the_command_compares(tmp_path):
    for seed in (0, 1):
        saved(tmp_path, f"s{seed}", [figure("generation", "fid", 60.0 + seed, "p")], seed)
    done = robsynth("report", "records=[s0,s1]", "out=both", cwd=tmp_path)
    assert set(done.json) == {"page", "tables", "figures"}
    assert "60.5 ± 0.7" in (tmp_path / done.json["tables"]).read_text()
    for words, complaint in {
        ("records=[s0,s1]", "record=s0", "out=both"): "records: found record as well",
        ("records=[s0,s1]",): "out: found none",
        ("records=[s0]", "out=both"): "records: found 1",
        ("records=[]", "out=both"): "records: found an empty list",
        ("records=[s0,none]", "out=both"): "none: no such file",
    }.items():
        done = robsynth("report", *words, cwd=tmp_path)
        assert done.status == 2
        assert complaint in done.complaint
