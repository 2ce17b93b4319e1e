"""Attacks, and trainings that are killed and go on."""

from dataclasses import replace

import pytest
import torch

from made import GAN, PGD, RECIPE, gan
from robsynth.baselines.generator import load_generator, sample, save_generator
from robsynth.baselines.wgan_gp import GanTraining
from robsynth.classifiers import build_classifier, save_classifier
from robsynth.config import Adversary, Augmentation
from robsynth.data.batches import Batches
from robsynth.errors import RequestError, RunError
from robsynth.machine import Machine
from robsynth.randomness import generator
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.attacks import attacked
from robsynth.training.fit import fit
from robsynth.training.tally import finite
from robsynth.training.training import begin_from


def classifier(adversary=PGD, held_out=None, **changes):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    return AdversarialTraining(network, adversary, replace(RECIPE, **changes), 3, held_out)


def same_weights(one, other):
    """To the last bit; also those of a moving average, and batch norm's statistics."""
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


def test_an_attack_stays_in_the_ball_and_raises_the_loss(network, digits, device):
    images, labels = (part.to(device) for part in digits.test.take(range(16)))
    network = network.to(device)
    moved = attacked(network, images, labels, PGD, generator(0, "attack"))
    assert (moved - images).flatten(1).norm(dim=1).max() <= 1 + 1e-5
    loss = torch.nn.functional.cross_entropy
    assert (loss(network(moved), labels, reduction="none") >= loss(network(images), labels, reduction="none")).all()


@pytest.mark.parametrize("make", [classifier, gan])
def test_a_killed_training_ends_in_the_same_weights(make, few_digits, tmp_path, device):
    uninterrupted = make()
    diary = fit(uninterrupted, Batches(few_digits.train, 16, 3), 3, tmp_path / "a", Machine(device))

    killed = make()
    step = killed.training_step

    def until_it_is_killed(batch, batch_idx):
        if killed.current_epoch == 2 and batch_idx == 1:
            raise SystemError("killed")
        return step(batch, batch_idx)

    killed.training_step = until_it_is_killed
    with pytest.raises(SystemError, match="killed"):
        fit(killed, Batches(few_digits.train, 16, 3), 3, tmp_path / "b", Machine(device))
    resumed = make()
    again = fit(resumed, Batches(few_digits.train, 16, 3), 3, tmp_path / "b", Machine(device))

    assert same_weights(uninterrupted, resumed)
    metrics = [{key: row[key] for key in row if "seconds" not in key} for row in diary.rows]
    assert metrics == [{key: row[key] for key in row if "seconds" not in key} for row in again.rows]
    assert [row["epoch"] for row in again.rows] == [1, 2, 3]
    seconds = [row["cpu_seconds"] for row in again.rows]
    assert seconds == sorted(seconds)


def test_a_killed_training_keeps_its_moving_average(few_digits, tmp_path, device):
    """Also when it is killed after its last epoch, before the checkpoint of its network was written."""
    batches = Batches(few_digits.train, 16, 3)
    uninterrupted, resumed = classifier(ema=0.9), classifier(ema=0.9)
    fit(uninterrupted, batches, 3, tmp_path / "a", Machine(device))
    fit(classifier(ema=0.9), Batches(few_digits.train, 16, 3), 3, tmp_path / "b", Machine(device))
    fit(resumed, Batches(few_digits.train, 16, 3), 3, tmp_path / "b", Machine(device))
    plain = classifier()
    fit(plain, Batches(few_digits.train, 16, 3), 3, tmp_path / "c", Machine(device))
    assert same_weights(uninterrupted, resumed)
    assert torch.equal(plain.network.head.weight, uninterrupted.network.head.weight)
    assert not torch.equal(plain.kept.head.weight, uninterrupted.kept.head.weight)


def test_the_rate_drops_to_a_tenth_after_the_epochs_that_are_named(few_digits, tmp_path, device):
    module = classifier(schedule="steps", drops=[1, 2])
    rates = []
    module.on_train_epoch_start = lambda: rates.append(module.optimizers().param_groups[0]["lr"])
    fit(module, Batches(few_digits.train, 16, 3), 3, tmp_path, Machine(device))
    assert rates == pytest.approx([0.05, 0.005, 0.0005])


def test_one_step_from_a_random_point_costs_one_pass_there_and_back(network, digits, device):
    """The single-step adversary keeps the last iterate: no further pass to see which was best."""
    images, labels = (part.to(device) for part in digits.test.take(range(4)))
    network = network.to(device)
    passes = []
    handle = network.register_forward_hook(lambda *_: passes.append(1))
    attacked(network, images, labels, Adversary("l2", 0.5, 1, 0.5, True, keep="last"), generator(0))
    handle.remove()
    assert len(passes) == 1


def test_weights_to_begin_from_fit_or_are_refused(tmp_path):
    """Of another number of classes: all but the head; of another architecture: refused by name."""
    about = {"arch": "compact", "widths": [4, 8, 8, 16], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k"}
    trained = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3], seed=1)
    path = tmp_path / "trained.safetensors"
    save_classifier(path, trained, {**about, "label_names": list("0123456789")})
    two = build_classifier("compact", [4, 8, 8, 16], 1, 2, [0.5], [0.5], seed=2)
    head = two.head.weight.clone()
    begin_from(two, str(path))
    assert torch.equal(two.features[0].weight, trained.features[0].weight)
    assert torch.equal(two.head.weight, head)
    assert two.mean.item() == 0.5
    with pytest.raises(RequestError, match=r"recipe\.start: .*another architecture"):
        begin_from(build_classifier("compact", [8, 8, 8, 16], 1, 10, [0.1], [0.3]), str(path))


def test_a_damaged_resume_file_is_named(few_digits, tmp_path, device):
    fit(classifier(), Batches(few_digits.train, 16, 3), 1, tmp_path, Machine(device))
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"last\.ckpt.*force=true"):
        fit(classifier(), Batches(few_digits.train, 16, 3), 2, tmp_path, Machine(device))


def test_training_lowers_the_loss(few_digits, tmp_path, device):
    recipe = {"epochs": 12, "batch_size": 20, "learning_rate": 0.1, "augment": Augmentation(0)}
    module = classifier(Adversary("none", 0, 1, 1), **recipe)
    rows = fit(module, Batches(few_digits.train, 20, 0), 12, tmp_path, Machine(device)).rows
    assert rows[-1]["loss"] < 0.85 * rows[0]["loss"]


def test_a_loss_that_is_no_number_stops_with_the_step():
    with pytest.raises(RunError, match="nan at step 0"):
        finite(float("nan"), 0)


def test_gan_samples_do_not_depend_on_the_batch(tmp_path, device):
    module = gan()
    path = tmp_path / "generator.safetensors"
    save_generator(
        path, module.average, {"latent": 8, "width": 8, "shape": [1, 32, 32], "label_names": list("0123456789")}
    )
    network, _ = load_generator(path, device=device)
    labels, indices = torch.tensor([1, 2, 3], device=device), torch.tensor([10, 11, 12])
    together = sample(network, labels, indices, seed=0)
    torch.testing.assert_close(sample(network, labels[1:2], indices[1:2], seed=0), together[1:2], rtol=0, atol=1e-6)
    assert together.shape == (3, 1, 32, 32)
    assert 0 <= together.min() <= together.max() <= 1


def test_a_gan_needs_images_it_can_halve_three_times():
    with pytest.raises(RequestError, match="multiple of 8"):
        GanTraining(GAN, 10, (1, 28, 28), seed=0)
