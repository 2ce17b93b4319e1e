"""Lightning's Trainer, set up so that a killed training ends where an uninterrupted one ends."""

import logging
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar
from torch import nn

from robsynth import processes
from robsynth.data.batches import Batches
from robsynth.errors import RunError
from robsynth.files import file_sha1, write_atomically
from robsynth.machine import Machine, arithmetic, deterministic
from robsynth.progress import say
from robsynth.training.checkpoints import AtomicCheckpoints, newest, step_back
from robsynth.training.held_out import onsets, score
from robsynth.training.tally import NotANumber, check_weights

# What Lightning says of the machine and of itself at every start is in the record, or in `doctor`.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

OnEpoch = Callable[[list[dict[str, float]]], None]
BEST = "best.safetensors"


class Trainable(Protocol):
    """What `fit` needs of a LightningModule besides Lightning's own."""

    @property
    def kept(self) -> nn.Module:
        """The network that the training is for."""

    def after_epoch(self) -> dict[str, float]:
        """The epoch's metrics."""


class Diary(Callback):
    """One row of metrics an epoch, with the wall, CPU and GPU seconds spent so far; kept in the checkpoint.

    So a resumed training has the history and the costs of all that led to its weights, and of nothing that was lost.
    The network of the best epoch by its held-out images, a later one before an equal, is written to `best`.
    `on_epoch` is given all rows so far after every epoch, in the process of rank 0.
    """

    def __init__(self, best: Path, on_epoch: OnEpoch, device: torch.device) -> None:
        self.rows: list[dict[str, float]] = []
        self.best_sha1: str | None = None
        self._best, self._on_epoch, self._device = best, on_epoch, device
        self._before: dict[str, float] = {}
        self._since = (0.0, 0.0)

    def seconds(self) -> dict[str, float]:
        """Wall seconds of this training up to now, and what its processes, which all have to ask, had of their cores.

        On GPUs also for how long they had those, one each: all the while, as nobody else can use one that waits.
        """
        wall, cpu = self._now()
        own = torch.tensor(cpu - self._since[1], dtype=torch.float64)
        spent = {"wall_seconds": wall - self._since[0], "cpu_seconds": float(processes.total(own))}
        if self._device.type == "cuda":
            spent["gpu_seconds"] = spent["wall_seconds"] * processes.count()
        return {name: self._before.get(name, 0.0) + value for name, value in spent.items()}

    def _now(self) -> tuple[float, float]:
        if self._device.type == "cuda":
            # What was begun is counted when it is done.
            torch.cuda.synchronize(self._device)
        return time.perf_counter(), time.process_time()

    @property
    def chosen(self) -> dict[str, float] | None:
        """The row of the best epoch; None where nothing was held out."""
        scored = [(value, row["epoch"]) for row in self.rows if (value := score(row)) is not None]
        return self.rows[int(max(scored)[1]) - 1] if scored else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = self._now()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        metrics = {name: round(value, 6) for name, value in pl_module.after_epoch().items()}
        spent = {name: round(value, 2) for name, value in self.seconds().items()}
        row = {"epoch": trainer.current_epoch + 1, **metrics, **spent}
        self.rows.append(row)
        if trainer.is_global_zero:
            if row in onsets(self.rows):
                say(f"warning: {warning(row)}")
            if self.chosen is row:
                content = safetensors.torch.save(_tensors(pl_module.kept))
                write_atomically(self._best, lambda file: file.write(content))
                self.best_sha1 = file_sha1(self._best)
            self._on_epoch(self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds(), "best": self.best_sha1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._before = dict(state_dict["seconds"])
        self.best_sha1 = state_dict["best"]


def warning(row: dict[str, float]) -> str:
    """What the row of the epoch in which overfitting began says, for people."""
    return (
        f"catastrophic overfitting since epoch {row['epoch']:.0f}: on held-out images the network withstands the "
        "training attack and not PGD; a smaller adversary.eps or adversary.step_size, or more adversary.steps, helps"
    )


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


class Keeper(Callback):
    """Writes the checkpoint after every epoch, and within it every `save_every` steps of the optimiser.

    At SIGTERM the step is finished, the checkpoint written, and the process ends with status 143. Weights that are no
    numbers are not written, and those with which the next loss is none are taken back.
    """

    def __init__(self, path: Path, save_every: int | None) -> None:
        self._path, self._every, self._saved = path, save_every, -1
        self._asked, self._before = False, signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved = trainer.global_step
        # In place of Lightning's, which waits for the other processes within the handler.
        signal.signal(signal.SIGTERM, self._ask)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _ask(self, *_: Any) -> None:
        self._asked = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch or trainer.fit_loop._should_accumulate():
            return
        stop = processes.any_asks(self._asked)
        if stop or (self._every and trainer.global_step - self._saved >= self._every):
            self._save(trainer, pl_module)
        self._stop_if(stop)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer, pl_module)
        self._stop_if(processes.any_asks(self._asked))

    def _save(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        check_weights(module, trainer.global_step)
        trainer.save_checkpoint(self._path)
        self._saved = trainer.global_step

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Of the weights that this step began with, which are finite and of no use.
        if isinstance(exception, NotANumber) and exception.step == self._saved and processes.is_first():
            step_back(self._path)

    def _stop_if(self, asked: bool) -> None:
        if asked:
            raise SystemExit(128 + signal.SIGTERM)


def fit(
    module: Any,
    batches: Batches,
    epochs: int,
    directory: Path,
    machine: Machine,
    on_epoch: OnEpoch = lambda rows: None,
    save_every: int | None = None,
) -> Diary:
    """Train a `Trainable` for `epochs`, from `directory`/last.ckpt if it is there.

    The module ends with `kept` being the network of the epoch that its held-out images chose, or without any of the
    last, on the CPU. `on_epoch` is given the diary's rows after every epoch. Trains in all the run's processes, on the
    machine's device and in its arithmetic; one that is stopped and goes on there ends in the same bits, on a GPU as far
    as `deterministic` promises.

    Raises
    ------
    RunError
        If no checkpoint can be read, the loss stops being a number, or a process that reads images dies.
    """
    last = directory / "last.ckpt"
    diary = Diary(directory / BEST, on_epoch, machine.device)
    where = lightning_arguments(machine.device)
    plugins = [AtomicCheckpoints(), *where.pop("plugins", [])]
    trainer = pl.Trainer(
        **where,
        max_epochs=epochs,
        precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
        accumulate_grad_batches=batches.parts if module.automatic_optimization else 1,
        # The diary comes first: the checkpoint of an epoch holds the epoch's row.
        callbacks=[diary, Keeper(last, save_every), RichProgressBar(console_kwargs={"stderr": True})],
        plugins=plugins,
        default_root_dir=directory,
        enable_checkpointing=False,
        logger=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    found = processes.once(lambda: newest(last))
    # Of bf16 Lightning casts itself, around each step.
    exact = "fp32" if machine.precision == "bf16" else machine.precision
    with warnings.catch_warnings(), arithmetic(exact, machine.device), deterministic(machine.device):
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")
        try:
            with processes.others_stay():
                trainer.fit(module, datamodule=batches, ckpt_path=found and str(found), weights_only=True)
        except SystemExit as error:
            # Lightning makes one of Ctrl-C.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise _explained(error, found, trainer) from error
    if diary.chosen is not None:
        best, written = directory / BEST, processes.from_first(diary.best_sha1)
        if not best.is_file() or file_sha1(best) != written:
            raise RunError(f"{best}: damaged or gone; force=true trains anew")
        module.kept.load_state_dict(safetensors.torch.load_file(best))
    return diary


def lightning_arguments(device: torch.device) -> dict[str, Any]:
    """What Lightning's Trainer has to be told of the run's processes: accelerator, devices, nodes, strategy."""
    from pytorch_lightning.plugins.environments import LightningEnvironment
    from pytorch_lightning.strategies import DDPStrategy

    accelerator, group = "gpu" if device.type == "cuda" else "cpu", processes.group()
    if group is None:
        # Named, because Lightning would otherwise believe a cluster that this process is one of several.
        return {"accelerator": accelerator, "devices": 1, "plugins": [LightningEnvironment()]}
    return {
        "accelerator": accelerator,
        # As many as there are processes here, which may be more than each of them sees.
        "strategy": DDPStrategy(parallel_devices=group.devices, find_unused_parameters=False),
        "num_nodes": group.count // len(group.devices),
        "plugins": [group.environment],
    }


def _explained(error: Exception, found: Path | None, trainer: pl.Trainer) -> Exception:
    """An error in words for the user, where it is one that users meet."""
    if "DataLoader worker" in str(error):
        return RunError(
            f"a process that reads images died ({error}); the same command goes on from the last checkpoint"
        )
    if found is not None and trainer.global_step == 0:
        return RunError(f"{found}: cannot be resumed from ({error}); remove it, or use force=true")
    return error
