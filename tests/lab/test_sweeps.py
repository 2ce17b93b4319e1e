"""Sweeps: what is tried, where it runs, that it goes on where it was, and that its comparison says what jobs do."""

import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from optuna.trial import TrialState, create_trial

from harness import ROOT, begun, children, robsynth, wait_for
from made import figure, without_pictures
from robsynth.config import Dataset, Launcher, Pruning, Sweep, check
from robsynth.config.compose import load_config
from robsynth.data import load_data
from robsynth.errors import Pruned, RequestError
from robsynth.lab.sweeps import launching
from robsynth.lab.sweeps import study as optuna
from robsynth.lab.sweeps.jobs import TRIAL, Job, load_job, run_job, save_job
from robsynth.lab.sweeps.launching import launch
from robsynth.lab.sweeps.space import grid, parameter, values, words_of
from robsynth.lab.sweeps.study import PrunedTrial, distribution
from robsynth.lab.sweeps.sweep import _make, open_sweep
from robsynth.metrics.protocols import parse
from robsynth.records.figures import METRICS, Figure, Protocol
from robsynth.records.record import load_record
from robsynth.records.sweep import SweepRecord, choose_best, load_sweep
from robsynth.reports.formats import markdown
from robsynth.reports.sweep import render_sweep, sweep_tables
from robsynth.reports.sweep_plots import Scale, sweep_plots
from robsynth.samples import SampleStore

SWEEPS = ("training_eps", "steps_and_step_size", "seed_distribution", "inpainting_penalty")
TINY = (
    "sweep.command=train", "sweep.objective=clean_accuracy", "classifier.widths=[4,8,8,16]", "adversary=none",
    "recipe.epochs=1", "recipe.batch_size=500", "metrics.attacks=[pgd1]", "metrics.accuracy_count=50", "tracker=none",
)  # fmt: skip
# The second job's loss is no number.
GRID = (*TINY, "sweep.figures=[robust_accuracy]", "recipe.learning_rate=0.1,1e30")
PRUNING = {"name": "median", "history": "held_out_robust_accuracy", "images": [], "startup": 2, "warmup": 0}


# What is tried.


def test_a_grid_is_every_combination_in_hydras_words():
    words = {"a": "0.5,1", "b.c": "range(1,4)", "d": "x,null,true,[1,y]"}
    points = grid({key: parameter(key, several) for key, several in words.items()})
    assert len(points) == 2 * 3 * 4
    assert points[0] == {"a": 0.5, "b.c": 1, "d": "x"}
    assert points[-2] == {"a": 1, "b.c": 3, "d": True}
    assert [words_of(point)[-1] for point in points[:4]] == ["d=x", "d=null", "d=true", "d=[1,y]"]


def test_what_a_sampler_cannot_draw_from_is_refused():
    for words, complaint in {
        "3": "found 3, allowed: a,b,c",
        "interval(0,1)": "which no grid has",
        "a,": "not understood",
    }.items():
        with pytest.raises(RequestError, match=complaint):
            values(parameter("a", words))
    with pytest.raises(RequestError, match="a range is not logarithmic"):
        distribution(parameter("a", "tag(log,range(1,9))"))
    with pytest.raises(RequestError, match="has one order; allowed: without shuffle"):
        parameter("a", "shuffle(1,2,3)")


def test_optuna_draws_from_the_same_words():
    log = distribution(parameter("a", "tag(log,interval(0.01,1))"))
    assert (log.low, log.high, log.log) == (0.01, 1.0, True)
    steps = distribution(parameter("a", "range(5,65,5)"))
    assert (steps.low, steps.high, steps.step) == (5, 60, 5)
    assert distribution(parameter("a", "interval(1,9)")).high == 9
    assert distribution(parameter("a", "true,2,x")).choices == (True, 2, "x")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Sweep("x", objective="fid", trials=3), "trials: found 3, but only sampler=tpe reads it"),
        (Sweep("x", objective="fid", sampler="tpe"), "trials: found none"),
        (Sweep("x", objective="fid", pruning=Pruning("median", "loss")), r"pruning\.name: found median, allowed with"),
        (Pruning("median"), "name: found median, which needs one of"),
        (Pruning("none", images=[5]), "but only name=median reads it; allowed: an empty list"),
        (Launcher("local", jobs=2), "jobs: found 2, but only name=joblib or "),
        (Launcher("joblib", partition="gpu"), "partition: found gpu, but only name=submitit_slurm reads it"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, complaint):
    with pytest.raises(RequestError, match=complaint):
        check(settings)


def test_words_of_the_jobs_are_checked_before_any_begins(tmp_path):
    config = load_config("sweep", [f"out={tmp_path / 'x'}", *TINY[:2]])
    for words, complaint in {
        ("recipe.epoch=1,2",): r"recipe\.epoch: no such key",
        ("recipe.epochs=1,0",): r"recipe\.epochs: found 0",
        ("recipe.epochs=1",): r"sweep\.params: found none",
    }.items():
        with pytest.raises(RequestError, match=complaint):
            open_sweep(config, list(words))
    assert not (tmp_path / "x").exists()


def test_settings_are_chosen_on_training_images(digits):
    chosen = load_data(Dataset("mnist5k", validation=500))
    assert (chosen.name, len(chosen.train), len(chosen.test)) == ("mnist5k-validation500", 3500, 500)
    assert chosen.test.pixels(range(500)).equal(digits.train.pixels(range(3500, 4000)))
    assert chosen.test.labels.bincount().tolist() == [50] * 10
    with pytest.raises(RequestError, match=r"dataset\.validation: found 4000, allowed: at most 3990"):
        load_data(Dataset("mnist5k", validation=4000))


# Optuna.


def simulate(journal: Path, stop_after: int, space) -> None:
    """A study of a function, one trial after the other, that is left after so many entries of its journal."""
    for _ in range(stop_after):
        study = optuna.open_study(journal, "minimize")
        running = [trial.number for trial in study.trials if not trial.state.is_finished()]
        if running:
            found = study.trials[running[0]].params
            status = "pruned" if found["c"] == "bad" and found["x"] > 0.8 else "finished"
            if status == "pruned":
                study._storage.set_trial_intermediate_value(study.trials[running[0]]._trial_id, 1, 9.0)
            optuna.finish(study, running[0], status, (found["x"] - 0.3) ** 2 + (found["c"] == "bad"))
        else:
            assert optuna.begin(study, space, 7) == len(study.trials) - 1


def trials_of(journal: Path):
    return [(t.state.name, t.params, t.value) for t in optuna.open_study(journal, "minimize").trials]


def test_a_study_goes_on_as_if_it_had_never_been_left(tmp_path):
    space = {"x": distribution(parameter("x", "interval(0.0,1.0)")), "c": distribution(parameter("c", "good,bad"))}
    simulate(tmp_path / "whole", 24, space)
    for stop in (1, 6, 13):
        simulate(tmp_path / f"left{stop}", stop, space)
        simulate(tmp_path / f"left{stop}", 24 - stop, space)
        assert trials_of(tmp_path / f"left{stop}") == trials_of(tmp_path / "whole")
    assert len(trials_of(tmp_path / "whole")) == 12
    assert len({str(params) for _, params, _ in trials_of(tmp_path / "whole")}) == 12


@pytest.fixture
def trial(tmp_path):
    """A maker of the fourth trial of a study, after three that reported 0.5, 0.6 and 0.7 in epoch 2 and finished."""

    def make(pruning, **about):
        journal = tmp_path / "journal.log"
        space = {"x": distribution(parameter("x", "interval(0.0,1.0)"))}
        if not journal.exists():
            study = optuna.open_study(journal, "maximize")
            for number, value in enumerate((0.5, 0.6, 0.7, 0)):
                study.add_trial(create_trial(state=TrialState.RUNNING, params={"x": 0.1 * number}, distributions=space))
                if number < 3:
                    study._storage.set_trial_intermediate_value(study.trials[number]._trial_id, 2, value)
                    optuna.finish(study, number, "finished", value)
        about = {"number": 3, "journal": "../../journal.log", "better": "maximize", "metric": "robust_accuracy",
                 "task": None, "pruning": pruning, **about}  # fmt: skip
        job = tmp_path / "jobs" / "003"
        save_job(job, Job("train", [], trial=about))
        return PrunedTrial(job / "job.json")

    return make


def epochs(*values):
    return [{"epoch": 1 + i, "loss": 1.0, "held_out_robust_accuracy": value} for i, value in enumerate(values)]


def test_a_trial_worse_than_the_median_is_pruned_at_the_epoch_where_it_was(trial):
    running = trial(PRUNING)
    running.history("judge", [{"epoch": 9}])
    running.history("classifier", epochs(0.55))
    with pytest.raises(Pruned, match=r"pruned after 2 epochs at 0\.58"):
        running.history("classifier", epochs(0.55, 0.58, 0.9))
    study = running.study
    assert study.trials[3].intermediate_values == {1: 0.55, 2: 0.58}
    # A run that was killed after its report and before it was ended is told the same.
    with pytest.raises(Pruned):
        trial(PRUNING).history("classifier", epochs(0.55, 0.58))
    optuna.finish(study, 3, "pruned", None)
    optuna.finish(study, 3, "finished", 0.9)
    assert (study.trials[3].state.name, study.trials[3].value) == ("PRUNED", 0.58)


def test_a_better_trial_and_one_of_few_go_on(trial):
    trial({**PRUNING, "startup": 9}).history("classifier", epochs(0.1, 0.2))
    running = trial(PRUNING)
    running.study._storage.set_trial_intermediate_value(running.study.trials[3]._trial_id, 2, 0.65)
    running.history("classifier", epochs(0.6, 0.65, 0.61))
    assert sorted(running.study.trials[3].intermediate_values) == [1, 2, 3]


def test_a_column_that_no_training_has_is_named(trial):
    with pytest.raises(RequestError, match=r"sweep\.pruning\.history: found 'x', allowed: loss, held_out"):
        trial({**PRUNING, "history": "x"}).history("classifier", epochs(0.5))


def test_images_are_reported_as_soon_as_the_first_ones_are_there(trial, tmp_path):
    running = trial({**PRUNING, "history": None, "images": [2, 6]}, task="generation", metric="judge_share")
    store, seen = SampleStore.create(tmp_path / "samples", 8, 3, {}), []

    def measure(first):
        seen.append(len(first))
        share = float(first.first().images.mean() / 255)
        return [Figure("generation", "judge_share", share, Protocol("p"))]

    running.images("generation", store, measure)
    store.write(1, {"images": np.full((3, 4, 4, 1), 255, np.uint8)})
    running.images("generation", store, measure)
    assert seen == []
    store.write(0, {"images": np.full((3, 4, 4, 1), 153, np.uint8)})
    running.images("inpainting", store, measure)
    assert seen == []
    # After two images it is at the others' median, 0.6, and goes on; after six it has no rivals.
    running.images("generation", store, measure)
    running.images("generation", store, measure)
    assert seen == [2, 6]
    assert running.study.trials[3].intermediate_values == {2: pytest.approx(0.6), 6: pytest.approx(0.8)}


def test_importance_is_the_share_of_variance_or_a_reason():
    space = {key: distribution(parameter(key, "1,2,3")) for key in "ab"}
    points = [({"a": a, "b": b}, 10.0 * a + 0.1 * b) for a in (1, 2, 3) for b in (1, 2, 3)]
    found = optuna.importance(points, space, "minimize")
    assert found["a"] > 0.95
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    for few, known, reason in (
        (points[:3], space, "3 finished jobs are too few"),
        ([(settings, 1.0) for settings, _ in points], space, "all jobs have the same figure"),
        (points, {"a": space["a"]}, "one parameter has all of it"),
    ):
        with pytest.raises(RequestError, match=reason):
            optuna.importance(few, known, "minimize")


# Where jobs run.


def jobs_of(*words: list[str]) -> list[Path]:
    """A job of `robsynth report` for each of these words."""
    jobs = [Path("jobs") / str(number) for number in range(len(words))]
    for job, own in zip(jobs, words, strict=True):
        save_job(job, Job("report", own))
    return jobs


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A cluster as far as submitit asks it, which runs both tasks of an array at once; gives the script submitted."""
    scripts = {
        "srun": f'until [ "$1" = {sys.executable} ]; do shift; done; exec "$@"',
        "sacct": """echo "JobID|State|NodeList"
            for task in 0 1; do
                [ -e ended_$task ] && state=COMPLETED || state=RUNNING
                echo "7_$task|$state|here"
            done""",
        "sbatch": """cp "$1" submitted.sh
            export SLURM_JOB_NODELIST=here SLURM_JOB_NUM_NODES=1 SLURM_NTASKS=1 SLURM_ARRAY_JOB_ID=7
            export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
            for task in 0 1; do
                (SLURM_JOB_ID=7$task SLURM_ARRAY_TASK_ID=$task bash "$1"; touch ended_$task) >/dev/null 2>&1 &
            done
            echo Submitted batch job 7""",
    }
    (tmp_path / "bin").mkdir()
    for name, script in scripts.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "submitted.sh"


LAUNCHERS = [
    Launcher("local"), Launcher("joblib", jobs=2), Launcher("submitit_local", jobs=2), Launcher("ray", jobs=2),
    Launcher("submitit_slurm", jobs=2, cpus=3, gpus=1, minutes=60, memory_gb=4, partition="fast"),
]  # fmt: skip


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=lambda launcher: launcher.name)
def test_every_launcher_runs_every_job_in_a_process_of_its_own(launcher, tmp_path, monkeypatch, slurm):
    monkeypatch.chdir(tmp_path)
    jobs = jobs_of([f"record={ROOT / 'results' / 'mnist5k'}"], ["record=nowhere"])
    launch(launcher, jobs, Path("launcher"))
    good, bad = map(load_job, jobs)
    assert (good.status, good.exit_status, good.error) == ("finished", 0, None)
    assert (jobs[0] / "run" / "index.html").is_file()
    assert '"page": "jobs/0/run/index.html"' in (jobs[0] / "log.txt").read_text()
    assert (bad.status, bad.exit_status) == ("failed", 2)
    assert bad.error == "nowhere: no such file"
    if launcher.name == "submitit_slurm":
        asked = slurm.read_text()
        for line in ("array=0-1%2", "cpus-per-task=3", "gpus-per-node=1", "time=60", "mem=4GB", "partition=fast"):
            assert f"#SBATCH --{line}\n" in asked


def test_what_a_launcher_cannot_do_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    jobs = jobs_of(["record=nowhere"])
    with pytest.raises(RequestError, match="submitit_slurm needs Slurm, and no srun is here; allowed: local, joblib"):
        launch(Launcher("submitit_slurm"), jobs, Path("launcher"))
    for name, extra in {"joblib": "sweeps", "submitit_local": "sweeps", "ray": "ray"}.items():
        monkeypatch.setitem(sys.modules, name.removesuffix("_local"), None)
        with pytest.raises(RequestError, match=rf"{name} cannot be had .* allowed: pip install 'robsynth\[{extra}\]'"):
            launch(Launcher(name), jobs, Path("launcher"))
    assert load_job(jobs[0]).status == "waiting"


def test_a_job_that_cannot_be_begun_stops_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    jobs = jobs_of(["record=nowhere"], ["record=nowhere"])
    (jobs[0] / "log.txt").mkdir()
    launch(Launcher("joblib", jobs=2), jobs, Path("launcher"))
    assert [load_job(job).status for job in jobs] == ["waiting", "failed"]
    assert capsys.readouterr().err.startswith("launcher joblib: IsADirectoryError: ")


def test_at_most_so_many_jobs_run_at_a_time_and_the_next_waits_for_one():
    running = []

    def begin(call):
        running.append(call)
        most.append(len(running))
        time.sleep(0.05)
        running.remove(call)
        return f"of {call}"

    most = []
    said = launching._waiting_for(begin, Launcher("ray", jobs=2), range(5))
    assert (said, max(most)) == ([f"of {call}" for call in range(5)], 2)


def test_jobs_share_the_cores_and_see_the_gpus_that_are_seen_here(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert launching._variables(Launcher("joblib", jobs=3)) == {"OMP_NUM_THREADS": "2"}
    assert launching._variables(Launcher("submitit_slurm", cpus=6)) == {"OMP_NUM_THREADS": "6"}
    assert launching._variables(Launcher("submitit_slurm")) == {}
    # Submitit hides GPUs from local jobs.
    assert launching._variables(Launcher("submitit_local")) == {"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": "1"}


def test_a_job_has_what_its_launcher_says_and_is_no_other_jobs_trial(tmp_path, monkeypatch):
    class Process:
        def __init__(self, command, env, **rest):
            seen.update(env)

        def wait(self):
            return 0

    seen = {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(TRIAL, "another")
    monkeypatch.setattr("robsynth.lab.sweeps.jobs.subprocess.Popen", Process)
    save_job(tmp_path, Job("report", []))
    run_job(tmp_path, tmp_path, {"OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": None})
    assert load_job(tmp_path).status == "finished"
    assert seen["OMP_NUM_THREADS"] == "3"
    assert not {"CUDA_VISIBLE_DEVICES", TRIAL} & seen.keys()


# From end to end.


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A grid of two jobs of which one fails, uninterrupted."""
    directory = tmp_path_factory.mktemp("whole")
    return directory, robsynth("sweep", *GRID, "out=grid", cwd=directory)


def compared(sweep: Path):
    """All of a sweep's jobs that a resume must not change."""
    record = load_sweep(sweep)
    return [(job["job"], job["status"], job["settings"], job["figures"], job.get("error")) for job in record.jobs]


@pytest.mark.slow
def test_a_failing_job_stops_no_other_and_is_told_of(whole):
    directory, done = whole
    assert done.status == 1
    assert "of 2 jobs 1 failed; logs: grid/jobs/*/log.txt" in done.complaint
    good, bad = load_sweep(directory / "grid").jobs
    assert (good["status"], bad["status"]) == ("finished", "failed")
    assert "the loss is nan at step 1" in bad["error"]
    assert bad["error"] in (directory / "grid" / "jobs" / "001" / "log.txt").read_text()
    assert bad["figures"] == [None, None]


def test_the_comparison_says_what_the_jobs_records_say(whole):
    sweep = whole[0] / "grid"
    record, job = load_sweep(sweep), load_record(sweep / "jobs" / "000" / "run")
    by_metric = {one["metric"]: one for one in job.figures if "at" not in one}
    assert record.jobs[0]["figures"] == [by_metric["clean_accuracy"], by_metric["robust_accuracy"]]
    assert record.jobs[0]["settings"] == {"recipe.learning_rate": 0.1}
    assert job.config["recipe"]["learning_rate"] == 0.1
    assert job.config["tracker"]["group"] == "grid"
    assert record.protocols == {name: job.protocols[name] for name in record.protocols}
    assert (record.best, record.importance, record.no_importance) == ("000", None, "one parameter has all of it")
    page, table = (sweep / "report" / "index.html").read_text(), (sweep / "report" / "tables.md").read_text()
    for text in (
        f"{by_metric['clean_accuracy']['value']:.4f}",
        by_metric["clean_accuracy"]["protocol"],
        "nan at step 1",
    ):
        assert text in page
        assert text in table


def test_a_sweeps_report_is_rendered_from_its_record_alone(whole, tmp_path):
    sweep = whole[0] / "grid"
    robsynth("report", f"record={sweep}", "out=copy", cwd=tmp_path)
    written = render_sweep(tmp_path / "copy", tmp_path / "again")
    for name in ("tables.md", "index.html"):
        assert (tmp_path / "copy" / name).read_text() == (sweep / "report" / name).read_text()
        assert (tmp_path / "again" / name).read_text() == (sweep / "report" / name).read_text()
    assert written["page"] == tmp_path / "again" / "index.html"


def test_changed_settings_are_refused_and_where_it_runs_is_none(whole, monkeypatch):
    monkeypatch.chdir(whole[0])
    words = [word for word in GRID if not word.startswith("sweep.")]
    own = ["out=grid", *(word for word in GRID if word.startswith("sweep."))]
    where = [*own, "launcher=joblib", "launcher.jobs=2"]
    open_sweep(load_config("sweep", where), [*words, "tracker=csv", "trainer=cpu"])
    job = Path("grid/jobs/000")
    ended, waiting = load_job(job), replace(load_job(job), status="waiting")
    other = replace(waiting, words=[*waiting.words, "tracker=csv"])
    for before, words_after in ((ended, ended.words), (waiting, other.words)):
        save_job(job, before)
        _make(job, other)
        assert load_job(job).words == words_after
    failed = Path("grid/jobs/001")
    before = load_job(failed)
    _make(failed, before)
    assert load_job(failed) == replace(before, status="waiting")
    save_job(failed, before)
    save_job(job, ended)
    with pytest.raises(RequestError, match=r"grid holds a sweep of other settings \(.*recipe\.epochs=1.* instead of"):
        open_sweep(load_config("sweep", own), [*words, "recipe.epochs=2"])
    with pytest.raises(RequestError, match=r"sweep\.objective clean_accuracy instead of robust_accuracy"):
        open_sweep(load_config("sweep", [*own, "sweep.objective=robust_accuracy"]), words)
    with pytest.raises(RequestError, match="precision=bf16"):
        open_sweep(load_config("sweep", own), [*words, "precision=bf16"])


def kill_when(directory: Path, job: str, its_job_too: bool) -> None:
    """Start the grid, and kill it, or it and its job, when this job runs."""
    sweep = begun("sweep", *GRID, "out=grid", cwd=directory)
    wait_for(directory / "grid" / "jobs" / job / "run" / "run.json", sweep)
    jobs = children(sweep) if its_job_too else []
    for number in (sweep.pid, *jobs):
        os.kill(number, signal.SIGKILL)
    assert sweep.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_where_the_uninterrupted_one_ends(whole, tmp_path):
    kill_when(tmp_path, "000", its_job_too=True)
    assert load_job(tmp_path / "grid" / "jobs" / "000").status == "running"
    # The job that is left alone ends by itself; the sweep waits for it.
    kill_when(tmp_path, "001", its_job_too=False)
    first = (tmp_path / "grid" / "jobs" / "000" / "job.json").read_bytes()
    assert json.loads(first)["status"] == "finished"
    assert robsynth("sweep", *GRID, "out=grid", cwd=tmp_path).status == 1
    assert (tmp_path / "grid" / "jobs" / "000" / "job.json").read_bytes() == first
    assert compared(tmp_path / "grid") == compared(whole[0] / "grid")
    weights = Path("grid") / "jobs" / "000" / "run" / "classifier" / "classifier.safetensors"
    assert (tmp_path / weights).read_bytes() == (whole[0] / weights).read_bytes()


@pytest.mark.slow
def test_optuna_prunes_runs_that_train(tmp_path):
    words = [word for word in TINY if not word.startswith(("recipe.epochs", "recipe.batch_size"))]
    words = [
        "sweep", "sweep=tpe", *words, "sweep.pruning.name=median", "sweep.pruning.startup=1", "recipe.held_out=100",
        "sweep.pruning.history=held_out_accuracy", "recipe.epochs=3", "recipe.batch_size=100",
        "recipe.learning_rate=choice(0.1,1e-7)", "out=tpe",
    ]  # fmt: skip
    assert robsynth(*words, "sweep.trials=1", cwd=tmp_path).json["best"]["job"] == "000"
    # More may be asked for. The second trial is worse than the first by far, and would go on to the third epoch.
    done = robsynth(*words, "sweep.trials=2", cwd=tmp_path)
    record = load_sweep(tmp_path / "tpe")
    first, second = record.jobs
    assert done.status == 0, done.stderr
    assert [job["settings"]["recipe.learning_rate"] for job in record.jobs] == [0.1, 1e-7]
    assert (first["status"], second["status"]) == ("finished", "pruned")
    assert re.match(r"pruned after [12] epochs at 0\.\d+, worse than the median", second["error"])
    assert (done.json["best"]["job"], record.best) == ("000", "000")
    assert not (tmp_path / "tpe" / "jobs" / "001" / "run" / "failed.json").exists()
    assert second["error"] in (tmp_path / "tpe" / "report" / "index.html").read_text()


# The report.


def made(figures, **more):
    """A sweep's record of jobs over `x` and `y`."""
    jobs = [
        {"job": f"{i:03}", "status": "finished" if one else "failed", "settings": settings, "figures": [one]}
        for i, (settings, one) in enumerate(figures)
    ]
    empty = {"commit": None, "versions": {}, "machine": {}, "data": {}, "words": [], "prepare": {}, "protocols": {}}
    about = {"params": {"x": "1,2", "y": "a,b"}, "objective": "fid", "columns": ["fid"], "logarithmic": []}
    rest = {"pruning": {"name": "none"}, "started": "", "finished": "", **empty, **about}
    record = SweepRecord("s", "reproduce", "grid", jobs=jobs, **{**rest, **more})
    try:
        record.best = choose_best(record)
    except RequestError as reason:
        record.no_best = record.no_importance = str(reason)
    return record


def fid(value, protocol="p"):
    return figure("generation", "fid", value, protocol)


def test_the_best_job_is_the_best_of_one_protocol():
    points = [({"x": 1, "y": "a"}, fid(3.0)), ({"x": 2, "y": "a"}, fid(2.0)), ({"x": 1, "y": "b"}, None)]
    assert made(points).best == "001"
    mixed = made([*points, ({"x": 2, "y": "b"}, fid(1.0, "q"))])
    assert (mixed.best, mixed.no_best) == (None, "the jobs' figures stand under different protocols (p, q)")
    assert "n/a: the jobs' figures" in markdown(replace(sweep_tables(mixed)[0], header=["-"]))
    assert sweep_tables(mixed)[2].header[-2:] == ["generation: FID ↓ (1)", "generation: FID ↓ (2)"]
    assert made([({"x": 1}, None)]).no_best == "no job has the figure"


def test_plots_are_one_for_each_parameter_and_one_over_two():
    points = [({"x": x, "y": y}, fid(float(x))) for x in (1, 2) for y in "ab"]
    assert [plot.name for plot in sweep_plots(made(points))] == ["against_x", "against_y", "over_two"]
    assert all(plot.png.startswith(b"\x89PNG") for plot in sweep_plots(made(points)))
    assert sweep_plots(made(points[:1])) == []


def test_axes_hold_numbers_wide_ranges_and_names():
    assert (Scale([1, 3, 2], False).place(3), Scale([1, 3], False).logarithmic) == (3.0, False)
    assert Scale([0.01, 1], False).logarithmic
    assert Scale(["b", "a", 3], False).place("a") == 1
    assert Scale([0, 10, 10_000], False).place(10_000) == 2


# What is shipped.


@pytest.mark.parametrize("name", SWEEPS)
def test_a_ready_made_sweep_asks_for_what_its_jobs_have(name, tmp_path):
    config = load_config("sweep", [f"sweep={name}", f"out={tmp_path / 'x'}"])
    sweep = open_sweep(config, [])
    assert len(sweep.wanted) == 1 + len(config.sweep.figures)
    job = load_config("reproduce", sweep._words(dict.fromkeys(())))
    assert job.dataset.validation == 500
    assert all(one.subject in (*job.select, "robust classifier", "Gaussian seeds") for one in sweep.wanted)
    assert f"`{name}`" in (ROOT / "experiments" / "sweeps" / "README.md").read_text()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_wandb_sweep_file_says_what_our_command_understands(name):
    """Its parameters with their first and last values; and its metric is one that the job logs."""
    content = yaml.safe_load((ROOT / "experiments" / "sweeps" / "wandb" / f"{name}.yaml").read_text())
    words = [word for word in content["command"] if not word.startswith("${")]
    assert (content["program"], words[0], content["name"]) == ("robsynth", "reproduce", name)
    for key, one in content["parameters"].items():
        values = one.get("values") or [one["min"], one["max"]]
        for value in (values[0], values[-1]):
            job = load_config(words[0], [*words[1:], f"{key}={value}"])
    subject, metric, protocol = content["metric"]["name"].split("/")
    assert subject in job.select
    assert content["metric"]["goal"] == METRICS[metric].better.replace("higher", "maximize").replace(
        "lower", "minimize"
    )
    if metric == "fid":
        asked = replace(parse(job.metrics.protocols[0]), count=job.samples.count)
        assert protocol == f"{asked.name()}-mnist5k-validation500"
    ours = load_config("sweep", [f"sweep={name}"]).sweep
    assert set(content["parameters"]) == set(ours.params)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_committed_sweep_is_what_its_record_renders_to(name, tmp_path):
    results = ROOT / "results" / "sweeps" / name
    render_sweep(results, tmp_path)
    assert (tmp_path / "tables.md").read_text() == (results / "tables.md").read_text()
    page = (tmp_path / "index.html").read_text()
    assert without_pictures(page) == without_pictures((results / "index.html").read_text())
    for job in load_sweep(results).jobs:
        if "picture" in job:
            assert (tmp_path / job["picture"]).read_bytes() == (results / job["picture"]).read_bytes()
