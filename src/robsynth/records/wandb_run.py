"""A run on W&B that says what the record says; the record stays the truth."""

import os
import shutil
from pathlib import Path

from robsynth.config import Tracker
from robsynth.errors import RunError
from robsynth.records.record import Record


def figure_key(figure: dict[str, object]) -> str:
    """The stable name of a figure: subject/metric/protocol."""
    return f"{figure['subject']}/{figure['metric']}/{figure['protocol']}"


def track_with_wandb(record: Record, directory: Path, tracker: Tracker) -> list[str]:
    """Log the record's history, figures and pictures; offline that makes one `.wandb` file.

    Returns
    -------
    list[str]
        The run's directories below `directory`/wandb; `wandb sync` takes them to a server.
    """
    # W&B reports its own errors home unless it is told not to.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    # What a killed attempt left is no run.
    shutil.rmtree(directory / "wandb", ignore_errors=True)
    try:
        with wandb.init(
            project=tracker.project,
            name=record.run,
            dir=directory,
            mode="offline" if tracker.mode == "offline" else "online",
            config={**record.config, "commit": record.commit, "data": record.data, "machine": record.machine},
            tags=[tag for tag in (record.command, record.experiment, record.scale) if tag],
            settings=wandb.Settings(silent=True, disable_git=True, disable_code=True, x_disable_stats=True),
        ) as run:
            run.define_metric("epoch")
            for part, rows in record.history.items():
                run.define_metric(f"{part}/*", step_metric="epoch")
                for row in rows:
                    run.log(
                        {
                            "epoch": row["epoch"],
                            **{f"{part}/{key}": row[key] for key in row if key != "epoch"},
                        }
                    )
            for figure in record.figures:
                run.summary[figure_key(figure)] = "not available" if figure["value"] is None else figure["value"]
            for picture in record.pictures:
                image = wandb.Image(str(directory / picture["file"]), caption=picture["caption"])
                run.log({f"pictures/{picture['name']}": image})
    except wandb.Error as error:
        raise RunError(f"tracker: W&B could not log the run ({error}); tracker=none does without") from error
    return sorted(path.relative_to(directory).as_posix() for path in (directory / "wandb").glob("*run-*"))
