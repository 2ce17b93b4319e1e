from typing import Any

from robsynth.config.commands import SweepConfig
from robsynth.errors import RunError
from robsynth.lab.sweeps.sweep import JOBS, open_sweep
from robsynth.reports.sweep import render_sweep


def run(config: SweepConfig, words: list[str]) -> dict[str, Any]:
    """Many runs, and one comparison of them."""
    sweep = open_sweep(config, words)
    record, directory = sweep.run(), sweep.directory
    page = str(render_sweep(directory, directory / "report")["page"])
    statuses = [job["status"] for job in record.jobs]
    parts = {"failed": statuses.count("failed")}
    parts["did not finish"] = len(statuses) - parts["failed"] - statuses.count("finished") - statuses.count("pruned")
    if said := ", ".join(f"{count} {how}" for how, count in parts.items() if count):
        logs = f"{directory}/{JOBS}/*/log.txt"
        raise RunError(f"of {len(statuses)} jobs {said}; logs: {logs}; the others are compared in {page}")
    return {
        "sweep": config.sweep.name,
        "directory": str(directory),
        "record": str(directory / "comparison.json"),
        "report": page,
        "best": record.job(record.best) if record.best else None,
        "importance": record.importance,
        "jobs": [{key: job[key] for key in ("job", "status", "settings")} for job in record.jobs],
    }
