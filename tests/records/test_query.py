"""Runs are chosen and ordered by their figures, and figures of two protocols are never compared."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from made import figure, record_of
from robsynth.errors import RequestError
from robsynth.records.query import Wanted, matching, ordered, parse_wanted


def run(name, figures, seed):
    return replace(record_of(figures, seed=seed), run=name, finished=f"2026-01-0{seed + 1}")


@pytest.fixture
def runs():
    """Three records with FID under two protocols, and one without FID."""
    known = (("a", 0, 60.0, "p"), ("b", 1, 40.0, "p"), ("c", 2, 50.0, "q"))
    found = [
        run(name, [figure("generation", "fid", value, protocol), figure("wgan_gp", "fid", 5.0, protocol)], seed)
        for name, seed, value, protocol in known
    ]
    return [*found, run("d", [figure("judge", "clean_accuracy", 0.9, "clean")], 3)]


def names(runs):
    return "".join(one.run for one in runs)


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("fid<50", "b"),
        ("fid <= 50", "bc"),
        ("fid>=5e1", "ac"),
        ("fid=60.", "a"),
        ("fid>.5", "abc"),
        ("wgan_gp/fid<50", "abc"),
        ("generation/fid/p>0", "ab"),
        ("fid/q>0", "c"),
        ("fid>0,fid<50", "b"),
        ("clean_accuracy>0.5", "d"),
        ("kid<1000", ""),
    ],
)
def test_conditions_on_figures_choose_runs(runs, where, left):
    assert names(matching(runs, where)) == left


@pytest.mark.parametrize(
    "where", ["fid", "fid<", "<3", "fid<x", "fid<1.2.3", "fid<.", "fid<nan", "__import__('os')<1", ""]
)
def test_what_is_no_condition_is_refused(runs, where):
    with pytest.raises(RequestError, match=r"^where: found "):
        matching(runs, where)


def test_a_figure_is_named_by_its_metric_and_as_far_as_it_matters_by_subject_and_protocol():
    assert parse_wanted("fid", "sort") == Wanted("fid")
    assert parse_wanted("robust classifier/clean_accuracy", "sort") == Wanted("clean_accuracy", "robust classifier")
    assert parse_wanted(" a/fid/p ", "sort") == Wanted("fid", "a", "p")
    assert parse_wanted("fid/p", "sort") == Wanted("fid", None, "p")
    for wrong in ("fud", "a/b/fid", "fid/p/q", "a/fid/p/q", "fid/", ""):
        with pytest.raises(RequestError, match=r"^sort: found .* METRIC one of fid, "):
            parse_wanted(wrong, "sort")


def test_order_never_mixes_protocols_and_puts_runs_without_the_figure_last(runs):
    assert names(ordered(runs, "fid")) == "bacd"
    assert names(ordered(runs, "-fid")) == "abcd"
    assert names(ordered(runs, "-finished")) == "dcba"


def test_points_of_curves_and_figures_that_are_missing_do_not_stand_for_a_run():
    figures = [
        figure("generation", "fid", 1.0, "p", at={"steps": 3}), figure("generation", "fid", None, "p", why="lost"),
        figure("generation", "fid", 7.0, "p"),
    ]  # fmt: skip
    assert Wanted("fid").of(SimpleNamespace(figures=figures))["value"] == 7.0
