"""A run on Weights & Biases: offline unless an account is set up."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import digest
from robsynth.lab.listening import Rows
from robsynth.lab.trackers.tracker import RunInfo
from robsynth.progress import say
from robsynth.records.figures import figure_key
from robsynth.records.record import Record
from robsynth.samples import load_samples
from robsynth.samples.store import MANIFEST

# Files of more bytes than this in all stay where they are, and W&B has their place and digests.
HEAVY = 50 * 2**20
EXAMPLES = 10
# What a training leaves: each with its card. What it could go on from is no artifact.
NETWORKS = ("classifier", "bundle", "generator")
# Where they are not set: W&B reports its own errors home, and waits for a server that does not answer.
ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false", "WANDB_INIT_TIMEOUT": "30", "WANDB_FINISH_TIMEOUT": "600"}


def has_account() -> bool:
    """Whether W&B would find a key here, for the server that it would ask."""
    from requests.utils import get_netrc_auth

    if "WANDB_API_KEY" in os.environ or "WANDB_IDENTITY_TOKEN_FILE" in os.environ:
        return True
    return get_netrc_auth(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")) is not None


def choose_mode(asked: str) -> str:
    """ "online" or "offline", or what WANDB_MODE says if "auto" was asked for."""
    if asked == "auto":
        return os.environ.get("WANDB_MODE") or ("online" if has_account() else "offline")
    if asked == "online" and not has_account():
        raise RequestError(
            "tracker.mode: online needs an account, found none; allowed: offline, or `wandb login` or WANDB_API_KEY"
        )
    return asked


class WeightsAndBiases:
    """`wandb/` beside the record.

    A resumed run has the same W&B id. Online it goes on at the step where the server's history ends. Offline W&B
    cannot resume: a new offline run takes the old one's place, and begins with all that was logged before.
    """

    def __init__(self, info: RunInfo) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # Copies of what tables show; otherwise they are kept in the user's home.
        os.environ["WANDB_DATA_DIR"] = str((info.directory / "wandb").resolve())
        import wandb

        self._info, self._step = info, 0
        mode = choose_mode(info.settings.mode)
        try:
            self._run = self._init(mode)
        except wandb.Error as error:
            if mode == "offline":
                raise
            reason = " ".join(str(error).split())
            say(f"tracker: W&B cannot be reached ({reason}); logged offline, `wandb sync` uploads it")
            # The service keeps the id of the run that failed.
            wandb.teardown()
            self._run = self._init("offline")
        self._run.define_metric("epoch")

    def _init(self, mode: str) -> Any:
        import wandb

        info = self._info
        shutil.rmtree(info.directory / "wandb", ignore_errors=True)
        return wandb.init(
            project=info.settings.project,
            group=info.settings.group,
            name=info.name,
            id=digest([info.name, info.started, str(info.directory.resolve())]),
            resume=None if mode == "offline" else "allow",
            # W&B's service may have another working directory.
            dir=info.directory.resolve(),
            mode=mode,  # type: ignore[arg-type]
            config=info.config,
            tags=info.tags,
            settings=wandb.Settings(silent=True, disable_git=True, disable_code=True),
        )

    def epochs(self, training: str, rows: Rows) -> None:
        if rows[0]["epoch"] == 1:
            self._run.define_metric(f"{training}/*", step_metric="epoch")
        for row in rows:
            # What the server of a resumed run has already.
            if self._step >= self._run.starting_step:
                values = {key if key == "epoch" else f"{training}/{key}": value for key, value in row.items()}
                self._run.log(values, step=self._step, commit=True)
            self._step += 1

    def record(self, record: Record) -> None:
        known = ("seed", "commit", "data", "machine", "versions", "protocols", "warnings")
        self._run.config.update({name: getattr(record, name) for name in known}, allow_val_change=True)
        for figure in record.figures:
            self._run.summary[figure_key(figure)] = "not available" if figure["value"] is None else figure["value"]
        self._run.log({**self._pictures(record), **self._examples(record)})
        for artifact in self._artifacts(record):
            self._run.log_artifact(artifact)

    def _pictures(self, record: Record) -> dict[str, Any]:
        import wandb

        directory = self._info.directory
        return {
            f"pictures/{picture['name']}": wandb.Image(str(directory / picture["file"]), caption=picture["caption"])
            for picture in record.pictures
        }

    def _examples(self, record: Record) -> dict[str, Any]:
        """A table a task: where its first images start, what became of them and, where there is one, the original."""
        import wandb

        tables = {}
        for name, store in self._sample_stores(record).items():
            found = load_samples(store, most=EXAMPLES)
            shown = {"input": found.start, "result": found.images, "original": found.original}
            images = {name: pixels for name, pixels in shown.items() if pixels is not None}
            table = wandb.Table(columns=["wanted", *images])
            for number, row in enumerate(zip(*images.values(), strict=True)):
                wanted = "" if found.wanted is None else record.data["label_names"][found.wanted[number]]
                table.add_data(wanted, *[wandb.Image(image.squeeze()) for image in row])
            tables[f"examples/{name}"] = table
        return tables

    def _artifacts(self, record: Record) -> Iterator[Any]:
        """The record, each training's network with what describes it, and each set of samples."""
        directory = self._info.directory
        yield self._artifact("record", "record", [directory / "record.json"])
        for training in record.history:
            kept = [path for name in NETWORKS for path in sorted((directory / training).glob(f"{name}.*"))]
            if kept:
                yield self._artifact(training, "model", kept)
        for name, store in self._sample_stores(record).items():
            yield self._artifact(f"samples-{name}", "samples", [store / MANIFEST, *sorted(store.glob("*.npz"))])

    def _sample_stores(self, record: Record) -> dict[str, Path]:
        """The images of every task, and of a rival that was trained; not those along a curve."""
        directory = self._info.directory
        if record.command == "synthesize":
            return {record.config["task"]: directory}
        names = [*record.config.get("select", []), *record.history]
        return {name: store for name in names if (store := directory / "samples" / name).is_dir()}

    def _artifact(self, name: str, kind: str, files: list[Path]) -> Any:
        import wandb

        artifact = wandb.Artifact(f"{self._info.name}-{name}", kind)
        heavy = sum(file.stat().st_size for file in files) > HEAVY
        for file in files:
            if heavy:
                artifact.add_reference(file.resolve().as_uri(), file.name)
            else:
                # Not copied, as a finished run's files do not change.
                artifact.add_file(str(file), policy="immutable")
        return artifact

    def close(self, status: int) -> list[str]:
        self._run.finish(exit_code=status)
        directory = self._info.directory
        return sorted(path.relative_to(directory).as_posix() for path in (directory / "wandb").glob("*run-*-*"))
