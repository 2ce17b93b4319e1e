from typing import Any

from robsynth.config import SweepConfig
from robsynth.errors import RunError
from robsynth.lab.sweeps.jobs import load_job
from robsynth.lab.sweeps.sweep import JOBS, open_sweep
from robsynth.reports.sweep import render_sweep


def run(config: SweepConfig, words: list[str]) -> dict[str, Any]:
    """Many runs, and one comparison of them."""
    sweep = open_sweep(config, words)
    sweep.prepare()
    jobs = sweep.run()
    record = sweep.record(jobs)
    written = render_sweep(sweep.directory, sweep.directory / "report")
    _complain([load_job(job).status for job in jobs], f"{sweep.directory}/{JOBS}/*/log.txt", str(written["page"]))
    return {
        "sweep": config.sweep.name,
        "directory": str(sweep.directory),
        "record": str(sweep.directory / "comparison.json"),
        "report": str(written["page"]),
        "best": record.job(record.best) if record.best else None,
        "importance": record.importance,
        "jobs": [{key: job[key] for key in ("job", "status", "settings")} for job in record.jobs],
    }


def _complain(statuses: list[str], logs: str, page: str) -> None:
    failed = statuses.count("failed")
    unfinished = len([status for status in statuses if status in ("waiting", "running", "stopped")])
    parts = [f"{count} {how}" for count, how in ((failed, "failed"), (unfinished, "did not finish")) if count]
    if parts:
        raise RunError(f"of {len(statuses)} jobs {', '.join(parts)}; logs: {logs}; the others are compared in {page}")
