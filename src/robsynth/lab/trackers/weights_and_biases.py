"""A run on Weights & Biases: offline unless an account is set up."""

import os
import shutil
from pathlib import Path
from typing import Any

from robsynth.errors import RequestError
from robsynth.files import digest
from robsynth.lab.listening import Rows
from robsynth.lab.trackers.tracking import RunInfo, Tracker
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

    named = "WANDB_API_KEY" in os.environ or "WANDB_IDENTITY_TOKEN_FILE" in os.environ
    return named or get_netrc_auth(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")) is not None


def choose_mode(asked: str) -> str:
    """ "online" or "offline", or what WANDB_MODE says if "auto" was asked for."""
    if asked == "auto":
        return os.environ.get("WANDB_MODE") or ("online" if has_account() else "offline")
    if asked == "online" and not has_account():
        raise RequestError(
            "tracker.mode: online needs an account, found none; allowed: offline, or `wandb login` or WANDB_API_KEY"
        )
    return asked


class WeightsAndBiases(Tracker):
    """`wandb/` beside the record.

    A resumed run has the same W&B id. Online it goes on at the step where the server's history ends. Offline W&B
    cannot resume: a new offline run takes the old one's place, and begins with all that was logged before.
    """

    def __init__(self, info: RunInfo) -> None:
        # W&B's service may have another working directory; copies of what tables show would go to the user's home.
        self._info, self._step, self._place = info, 0, info.directory.resolve() / "wandb"
        os.environ.update({**ENVIRONMENT, **os.environ, "WANDB_DATA_DIR": str(self._place)})
        import wandb

        for mode in dict.fromkeys((choose_mode(info.settings.mode), "offline")):
            shutil.rmtree(self._place, ignore_errors=True)
            try:
                self._run = wandb.init(
                    project=info.settings.project, group=info.settings.group, config=info.config, tags=info.tags,
                    name=info.name, id=digest([info.name, info.started, str(info.directory.resolve())]),
                    resume=None if mode == "offline" else "allow", dir=info.directory.resolve(),
                    mode=mode,  # type: ignore[arg-type]
                    settings=wandb.Settings(silent=True, disable_git=True, disable_code=True),
                )  # fmt: skip
                break
            except wandb.Error as error:
                if mode == "offline":
                    raise
                reason = " ".join(str(error).split())
                say(f"tracker: W&B cannot be reached ({reason}); logged offline, `wandb sync` uploads it")
                # The service keeps the id of the run that failed.
                wandb.teardown()
        self._run.define_metric("epoch")

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
        """Figures, pictures, examples; as artifacts the record, networks with what describes them, samples."""
        import wandb

        directory = self._info.directory
        known = ("seed", "commit", "data", "machine", "versions", "protocols", "warnings")
        self._run.config.update({name: getattr(record, name) for name in known}, allow_val_change=True)
        for figure in record.figures:
            self._run.summary[figure_key(figure)] = "not available" if figure["value"] is None else figure["value"]
        media: dict[str, Any] = {
            f"pictures/{one['name']}": wandb.Image(str(directory / one["file"]), caption=one["caption"])
            for one in record.pictures
        }
        # The images of every task, and of a rival that was trained; not those along a curve.
        names = [*record.config.get("select", []), *record.history]
        stores = {name: store for name in names if (store := directory / "samples" / name).is_dir()}
        if record.command == "synthesize":
            stores = {record.config["task"]: directory}
        for name, store in stores.items():
            media[f"examples/{name}"] = _examples(store, record.data["label_names"])
        self._run.log(media)
        self._keep("record", "record", [directory / "record.json"])
        for name in record.history:
            self._keep(
                name, "model", [file for kind in NETWORKS for file in sorted((directory / name).glob(f"{kind}.*"))]
            )
        for name, store in stores.items():
            self._keep(f"samples-{name}", "samples", [store / MANIFEST, *sorted(store.glob("*.npz"))])

    def _keep(self, name: str, kind: str, files: list[Path]) -> None:
        """As an artifact, if there are any."""
        import wandb

        artifact = wandb.Artifact(f"{self._info.name}-{name}", kind)
        heavy = sum(file.stat().st_size for file in files) > HEAVY
        for file in files:
            if heavy:
                artifact.add_reference(file.resolve().as_uri(), file.name)
            else:
                # Not copied, as a finished run's files do not change.
                artifact.add_file(str(file), policy="immutable")
        if files:
            self._run.log_artifact(artifact)

    def close(self, status: int) -> list[str]:
        self._run.finish(exit_code=status)
        return sorted(f"wandb/{path.name}" for path in self._place.glob("*run-*-*"))


def _examples(store: Path, label_names: list[str]) -> Any:
    """A table of where a task's first images start, what became of them and, where there is one, the original."""
    import wandb

    found = load_samples(store, most=EXAMPLES)
    columns = {"wanted": [""] * len(found.images) if found.wanted is None else [label_names[k] for k in found.wanted]}
    for name, pixels in {"input": found.start, "result": found.images, "original": found.original}.items():
        if pixels is not None:
            columns[name] = [wandb.Image(image.squeeze()) for image in pixels]
    return wandb.Table(columns=list(columns), data=list(zip(*columns.values(), strict=True)))
