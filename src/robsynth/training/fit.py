"""Lightning's Trainer, set up so that a killed training ends where an uninterrupted one ends."""

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar

from robsynth.data.batches import Batches
from robsynth.errors import RunError

# What Lightning says of the machine and of itself at every start is in the record, or in `doctor`.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


OnEpoch = Callable[[list[dict[str, float]]], None]


class Diary(Callback):
    """One row of metrics an epoch, with the wall and CPU seconds spent so far; kept in the checkpoint.

    So a resumed training has the history and the costs of all that led to its weights, and of nothing that
    was lost. `on_epoch` is given all rows so far after every epoch, in the process of rank 0.
    """

    def __init__(self, on_epoch: OnEpoch) -> None:
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch
        self._before = (0.0, 0.0)
        self._since = (0.0, 0.0)

    def seconds(self) -> tuple[float, float]:
        """Wall and CPU seconds of this training up to now."""
        wall, cpu = self._since
        return self._before[0] + time.perf_counter() - wall, self._before[1] + time.process_time() - cpu

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = (time.perf_counter(), time.process_time())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {name: round(float(value), 6) for name, value in trainer.callback_metrics.items()}
        wall, cpu = self.seconds()
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                **metrics,
                "wall_seconds": round(wall, 2),
                "cpu_seconds": round(cpu, 2),
            }
        )
        if trainer.is_global_zero:
            self._on_epoch(self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": list(self.seconds())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._before = tuple(state_dict["seconds"])


def fit(
    module: pl.LightningModule,
    batches: Batches,
    epochs: int,
    directory: Path,
    device: torch.device,
    precision: str,
    ema: float = 0,
    on_epoch: OnEpoch = lambda rows: None,
) -> Diary:
    """Train for `epochs`, from `directory`/last.ckpt if it is there; it is renewed after every epoch.

    With `ema` > 0 the module ends with the moving average of its weights, of that decay a step. `on_epoch` is given
    the diary's rows after every epoch.

    Raises
    ------
    RunError
        If the checkpoint cannot be read, or the loss stops being a number.
    """
    diary = Diary(on_epoch)
    # The diary comes first: the checkpoint of an epoch holds the epoch's row.
    callbacks: list[Callback] = [diary, _checkpoints(directory), RichProgressBar(console_kwargs={"stderr": True})]
    if ema:
        callbacks.append(EMAWeightAveraging(decay=ema))
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=epochs,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        callbacks=callbacks,
        default_root_dir=directory,
        logger=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    last = directory / "last.ckpt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")
        try:
            trainer.fit(module, batches, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        except (RuntimeError, EOFError, KeyError, ValueError) as error:
            if trainer.global_step == 0 and last.exists():
                raise RunError(f"{last}: cannot be resumed from ({error}); remove it, or use force=true") from error
            raise
    if trainer.interrupted:
        raise KeyboardInterrupt
    # The average, where there is one; also when this process found all epochs done.
    module.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    return diary


def _checkpoints(directory: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=directory,
        filename="last",
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def finite(loss: torch.Tensor, module: pl.LightningModule) -> torch.Tensor:
    """`loss`, or a RunError that says at which step it stopped being a number."""
    if not torch.isfinite(loss):
        raise RunError(
            f"the loss is {loss.item()} at step {module.global_step}; "
            "try a smaller recipe.learning_rate or adversary.eps"
        )
    return loss
