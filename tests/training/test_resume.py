"""Trainings that are killed, damaged or starved: they go on to the same end, or say what is wrong."""

import json
import os
import resource
import signal
import time
from dataclasses import replace

import pytest
import torch

from harness import begun, robsynth, wait_for
from robsynth.classifiers import build_classifier
from robsynth.config import Adversary, Augmentation, Recipe
from robsynth.data import MemoryImages
from robsynth.data.batches import Batches
from robsynth.directories import writable_directory
from robsynth.errors import RequestError, RunError
from robsynth.machine import Machine
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.checkpoints import newest, previous
from robsynth.training.fit import fit

PGD = Adversary("l2", eps=1.0, steps=2, step_size=0.4, random_start=True)
FREE = Adversary("l2", 1.0, 1, 0.5, random_start=True, keep="last", method="free", replays=2)
RECIPE = Recipe(
    epochs=2, batch_size=8, learning_rate=0.05, momentum=0.9, weight_decay=5e-4, schedule="one_cycle", ema=0.8,
    augment=Augmentation(shift=2, flip=True, jitter=0.2, rotation=5, lighting=0),
)  # fmt: skip
SMALL = ("train", "scale=smoke", "recipe.save_every=4", "tracker=none")


class Killed(BaseException):
    """What no code catches."""


def module(few_digits, adversary=PGD, **changes):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    return AdversarialTraining(network, adversary, replace(RECIPE, **changes), 3, few_digits.test)


def trained(few_digits, directory, device, die_at=(), workers=0, parts=1, adversary=PGD):
    """The module and diary of a training that is killed before each of these steps, and goes on each time."""
    for attempt in (*die_at, None):
        learner = module(few_digits, adversary, accumulate=parts)
        step = learner.training_step

        def until_killed(batch, batch_idx, attempt=attempt, learner=learner, step=step):
            if attempt == (learner.current_epoch, batch_idx):
                raise Killed
            return step(batch, batch_idx)

        learner.training_step = until_killed
        batches = Batches(few_digits.train, 8, 3, workers, parts, adversary.replays or 1)
        try:
            diary = fit(learner, batches, 2, directory, Machine(device), save_every=1)
        except Killed:
            assert attempt is not None
    return learner, diary


def facts(rows):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


@pytest.mark.parametrize(
    ("adversary", "workers", "parts", "die_at"),
    [
        (PGD, 0, 1, [(0, 0), (0, 3), (1, 0), (1, 1), (1, 4)]),
        (PGD, 1, 1, [(0, 2), (1, 3)]),
        (PGD, 0, 2, [(0, 5), (1, 2)]),
        (FREE, 0, 1, [(0, 3), (1, 4), (1, 9)]),
    ],
    ids=["pgd", "workers", "parts", "free"],
)
def test_a_training_that_is_killed_at_any_step_ends_bit_for_bit(
    few_digits, tmp_path, device, adversary, workers, parts, die_at
):
    """Weights, optimiser, schedule, average, order, augmentation, attack and what its method carries on."""
    whole, diary = trained(few_digits, tmp_path / "a", device, (), workers, parts, adversary)
    resumed, again = trained(few_digits, tmp_path / "b", device, die_at, workers, parts, adversary)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert facts(diary.rows) == facts(again.rows)
    ends = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in "ab"]
    for key in ("optimizer_states", "lr_schedulers", "method", "global_step"):
        assert str(ends[0][key]) == str(ends[1][key])


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_taken(few_digits, tmp_path, capsys, device):
    whole, _ = trained(few_digits, tmp_path / "a", device)
    trained(few_digits, tmp_path / "b", device)
    last = tmp_path / "b" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    resumed, _ = trained(few_digits, tmp_path / "b", device)
    assert "damaged, the one before is taken" in capsys.readouterr().err
    assert torch.equal(whole.kept.head.weight, resumed.kept.head.weight)
    for path in (last, previous(last)):
        path.write_bytes(b"no archive")
    with pytest.raises(RunError, match=r"last\.ckpt: damaged.*force=true"):
        newest(last)


def test_nothing_is_resumed_where_there_is_nothing(tmp_path):
    assert newest(tmp_path / "last.ckpt") is None


def test_a_worker_that_dies_ends_the_training_with_a_line(few_digits, tmp_path, device):
    class Dying(MemoryImages):
        def augmented(self, indices, noise):
            if torch.utils.data.get_worker_info() is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().augmented(indices, noise)

    some = few_digits.train
    dying = Dying(some.name, some.images, some.labels, some.label_names)
    with pytest.raises(RunError, match=r"a process that reads images died.*goes on from the last checkpoint"):
        fit(module(few_digits), Batches(dying, 8, 3, workers=1), 2, tmp_path, Machine(device))


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    done = robsynth(*SMALL, "recipe.learning_rate=1e30", "recipe.momentum=0", "recipe.schedule=steps",
                    "recipe.save_every=1", "out=run", cwd=tmp_path)  # fmt: skip
    assert done.status == 1
    assert "the loss is nan at step" in done.complaint
    assert json.loads((tmp_path / "run" / "failed.json").read_text())["stage"] == "train classifier"


def test_weights_that_a_step_ruined_are_not_those_that_are_kept(few_digits, tmp_path, device):
    """Of no number they are never written; finite ones are taken back when the next loss is no number."""
    for how, where in (("written", tmp_path / "a"), ("taken back", tmp_path / "b")):
        learner = module(few_digits, ema=0)
        step, steps = learner.training_step, learner.optimizer_step

        def ruined(*arguments, learner=learner, step=step, how=how):
            if (learner.global_step, how) == (3, "taken back"):
                learner.network.head.weight.data.fill_(3e38)
            return step(*arguments)

        def ruining(*arguments, learner=learner, steps=steps, how=how, **named):
            steps(*arguments, **named)
            if (learner.global_step, how) == (2, "written"):
                learner.network.head.weight.data.fill_(torch.inf)

        learner.training_step, learner.optimizer_step = ruined, ruining
        with pytest.raises(RunError, match=r"at step 3, the last good checkpoint is kept"):
            fit(learner, Batches(few_digits.train, 8, 3), 2, where, Machine(device), save_every=1)
        kept = torch.load(newest(where / "last.ckpt"), weights_only=True)
        assert kept["global_step"] == 2
        assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())


def test_the_best_network_is_not_read_when_it_is_damaged(few_digits, tmp_path, device):
    trained(few_digits, tmp_path, device)
    best = tmp_path / "best.safetensors"
    content = bytearray(best.read_bytes())
    content[-1] ^= 1
    best.write_bytes(content)
    with pytest.raises(RunError, match=r"best\.safetensors: damaged or gone"):
        trained(few_digits, tmp_path, device)


def test_terminated_or_killed_training_goes_on_to_the_same_bytes(tmp_path):
    """SIGTERM finishes the step, saves and ends with 143; SIGKILL with nothing; the end is the same."""
    assert robsynth(*SMALL, "out=whole", cwd=tmp_path).status == 0
    checkpoint = tmp_path / "run" / "classifier" / "last.ckpt"
    child = begun(*SMALL, "out=run", cwd=tmp_path)
    wait_for(checkpoint, child)
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 143, said
    assert "terminated; the same command goes on from here" in said
    before = torch.load(checkpoint, weights_only=True)["global_step"]
    child = begun(*SMALL, "out=run", cwd=tmp_path)
    wait_for(previous(checkpoint), child)
    time.sleep(0.5)
    child.kill()
    child.communicate()
    resumed = robsynth(*SMALL, "out=run", cwd=tmp_path)
    assert resumed.status == 0, resumed.stderr
    assert 0 < before < torch.load(checkpoint, weights_only=True)["global_step"]
    files = [tmp_path / run / "classifier" / "classifier.safetensors" for run in ("whole", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_full_disk_is_said_and_leaves_whole_files(few_digits, tmp_path, device):
    """Here a limit on the size of a file, which fails in the middle of writing as a full disk does."""
    learner = module(few_digits)
    step = learner.training_step

    def until_killed(batch, batch_idx):
        if learner.current_epoch == 1:
            raise Killed
        return step(batch, batch_idx)

    learner.training_step = until_killed
    with pytest.raises(Killed):
        fit(learner, Batches(few_digits.train, 8, 3), 2, tmp_path, Machine(device))
    last = tmp_path / "last.ckpt"
    before = last.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written"):
            fit(module(few_digits), Batches(few_digits.train, 8, 3), 2, tmp_path, Machine(device))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert last.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.ckpt"]


@pytest.mark.parametrize("path", ["/proc/robsynth", "/proc/sys"])
def test_a_directory_that_cannot_be_written_to_is_named(path):
    """Neither can be, whoever runs the tests; the second is there."""
    with pytest.raises(RequestError, match=f"out: {path} is no directory that can be written to"):
        writable_directory(path)
