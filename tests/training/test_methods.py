"""Ways of adversarial training: what each of them minimises, and what tells that one went wrong."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from made import counted_passes
from robsynth.classifiers import build_classifier
from robsynth.config import Adversary, Augmentation, Recipe
from robsynth.config.compose import load_config
from robsynth.data import MemoryImages
from robsynth.data.batches import Batches
from robsynth.errors import RequestError
from robsynth.machine import CPU, Machine
from robsynth.randomness import generator
from robsynth.training.adversarial import AdversarialTraining, averaged
from robsynth.training.attacks import attacked
from robsynth.training.fit import Diary, fit
from robsynth.training.held_out import CLEAN, GAP, ROBUST, TRAINING, HeldOut, hold_out, onsets, overfitted
from robsynth.training.methods import Free, Pgd, Standard, Trades, divergence, training_method, training_passes

PGD = Adversary("l2", eps=1.0, steps=3, step_size=0.4, random_start=True)
TRADES = replace(PGD, method="trades", beta=6.0)
FREE = Adversary("l2", 1.0, 1, 0.5, keep="last", method="free", replays=3)
RECIPE = Recipe(
    epochs=3, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=5e-4, schedule="one_cycle",
    augment=Augmentation(shift=2),
)  # fmt: skip


def module(adversary=PGD, held_out=None, **changes):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    return AdversarialTraining(network, adversary, replace(RECIPE, **changes), 3, held_out)


METHODS = {"pgd": PGD, "one step": replace(PGD, steps=1, keep="last"), "trades": TRADES, "free": FREE,
           "plain": replace(PGD, norm="none")}  # fmt: skip


def eight(digits, network, device):
    """Eight digits, their labels and the network, on a device."""
    images, labels = digits.test.take(range(8))
    return images.to(device), labels.to(device), network.to(device)


def test_a_configuration_names_the_method():
    kinds = [type(training_method(one)) for one in (replace(PGD, norm="none"), PGD, TRADES, FREE)]
    assert kinds == [Standard, Pgd, Trades, Free]


def test_pgd_is_the_loss_of_what_the_attack_finds(network, digits, device):
    images, labels, network = eight(digits, network, device)
    losses, logits = Pgd(PGD)(network, images, labels, generator(0, "noise"))
    moved = attacked(network, images, labels, PGD, generator(0, "noise"))
    assert torch.equal(logits, network(moved))
    assert torch.equal(losses, cross_entropy(network(moved), labels, reduction="none"))


def test_label_smoothing_mixes_in_the_uniform_distribution(network, digits, device):
    images, labels, network = eight(digits, network, device)
    losses, logits = Standard(0.1)(network, images, labels, generator(0))
    uniform = -logits.log_softmax(1).mean(1)
    torch.testing.assert_close(losses, 0.9 * cross_entropy(logits, labels, reduction="none") + 0.1 * uniform)


def test_divergence_is_that_of_torchs_distributions(device):
    first, second = torch.randn(2, 5, 10, generator=generator(0)).to(device)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=first), torch.distributions.Categorical(logits=second)
    )
    torch.testing.assert_close(divergence(first, second), expected)
    torch.testing.assert_close(divergence(first, first), torch.zeros(5, device=device))


def test_trades_adds_beta_times_a_divergence_that_the_attack_raised(network, digits, device):
    images, labels, network = eight(digits, network, device)
    natural = cross_entropy(network(images), labels, reduction="none")
    once, logits = Trades(replace(TRADES, beta=1.0))(network, images, labels, generator(0))
    twice, _ = Trades(replace(TRADES, beta=2.0))(network, images, labels, generator(0))
    torch.testing.assert_close(logits, network(images))
    torch.testing.assert_close(twice - natural, 2 * (once - natural), rtol=1e-3, atol=1e-6)
    unmoved = PGD.eps * torch.randn(images.shape, generator=generator(1)).to(device)
    elsewhere = (images + unmoved / unmoved.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)
    random = divergence(network(images), network(elsewhere))
    assert ((once - natural) > random).float().mean() > 0.8


def test_free_makes_one_step_a_backward_pass_and_carries_it_on(network, digits, device):
    """After n passes over one batch of a frozen network it is where n steps of PGD are, batch norm being still."""
    images, labels, network = eight(digits, network, device)
    free = Free(FREE)
    for _ in range(3):
        losses, _ = free(network, images, labels, generator(0))
        losses.sum().backward()
        free.after_backward()
    pgd = Adversary("l2", FREE.eps, 3, FREE.step_size, keep="last")
    torch.testing.assert_close(images + free.added, attacked(network, images, labels, pgd, generator(0)))
    assert free.added.flatten(1).norm(dim=1).max() <= FREE.eps + 1e-5
    again = Free(FREE)
    again.load(free.state(), 2, 5)
    assert torch.equal(again.added.to(device), free.added[2:5])


@pytest.mark.parametrize(
    "adversary", [replace(TRADES, beta=1.0), FREE, replace(PGD, norm="none")], ids=["trades", "free", "standard"]
)
def test_every_method_learns(adversary, digits, tmp_path, device):
    recipe = {"epochs": 4, "batch_size": 50, "learning_rate": 0.1, "augment": Augmentation(0)}
    learner = module(adversary, **recipe)
    batches = Batches(digits.train.head(400), 50, 0, replays=adversary.replays or 1)
    rows = fit(learner, batches, 4, tmp_path, Machine(device)).rows
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert rows[-1]["accuracy"] > rows[0]["accuracy"]


@pytest.mark.parametrize("name", METHODS)
def test_passes_are_those_that_a_training_makes(name, few_digits, tmp_path, device):
    """Those of the looks at held-out images among them, and without the images that make no whole batch."""
    adversary = METHODS[name]
    learner = module(adversary, few_digits.test, epochs=2)
    counted = counted_passes(learner.network)
    batches = Batches(few_digits.train, RECIPE.batch_size, 3, replays=adversary.replays or 1)
    fit(learner, batches, 2, tmp_path, Machine(device))
    assert counted == [training_passes(adversary, learner.settings, len(few_digits.train), len(few_digits.test))]


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_training_and_its_looks_at_held_out_images_compute_in_the_machines_arithmetic(
    precision, few_digits, tmp_path, device
):
    learner, seen = module(held_out=few_digits.test, epochs=1), set()
    learner.network.head.register_forward_hook(
        lambda head, _, logits: seen.add((head.training, logits.dtype, torch.backends.cudnn.allow_tf32))
    )
    fit(learner, Batches(few_digits.train, 16, 3), 1, tmp_path, Machine(device, precision))
    expected = torch.bfloat16 if precision == "bf16" else torch.float32
    assert seen == {(training, expected, precision == "tf32") for training in (True, False)}
    assert {value.dtype for value in learner.kept.parameters()} == {torch.float32}


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_nesterovs_where_that_is_asked_for(nesterov, few_digits):
    """Two steps with a gradient of 1: SGD's velocities are 1 and 1.9, Nesterov's steps 1.9 and 2.71 (at 0.9)."""
    learner = module(nesterov=nesterov, weight_decay=0.0, schedule="steps", drops=[9])
    optimiser, weight = learner.configure_optimizers()["optimizer"], learner.network.head.weight
    before = weight.detach().clone()
    for _ in range(2):
        weight.grad = torch.ones_like(weight)
        optimiser.step()
    went = (1 + 0.9 * 1) + (1 + 0.9 * 1.9) if nesterov else 1 + 1.9
    torch.testing.assert_close(before - weight, torch.full_like(weight, 0.05 * went))


def test_held_out_images_are_looked_at_as_many_at_a_time_as_their_size_allows(network):
    """256 pixels squared, four times a MiB: in chunks of 16."""
    seen = []
    network.features.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    images = torch.zeros(20, 1, 256, 256, dtype=torch.uint8)
    large = MemoryImages("large", images, torch.arange(20) % 10, list("0123456789"))
    HeldOut(large, replace(PGD, norm="none"), seed=0).look(network)
    assert seen == [16, 4]


def test_gpu_seconds_are_wall_seconds_of_work_that_is_done(tmp_path, monkeypatch, device):
    """On a device that torch need not have: what is begun there is waited for before the clock is read."""
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    diary = Diary(tmp_path / "best", lambda rows: None, torch.device("cuda"))
    diary.on_train_start(None, None)
    spent = diary.seconds()
    assert len(waited) == 2
    assert spent["gpu_seconds"] == spent["wall_seconds"] > 0
    again = Diary(tmp_path / "best", lambda rows: None, torch.device("cuda"))
    again.load_state_dict(
        {"rows": [], "seconds": {"wall_seconds": 5, "cpu_seconds": 9, "gpu_seconds": 4}, "best": None}
    )
    again.on_train_start(None, None)
    assert again.seconds()["gpu_seconds"] > 4
    assert "gpu_seconds" not in Diary(tmp_path / "best", lambda rows: None, CPU).seconds()


def test_a_batch_in_parts_makes_one_step(few_digits, tmp_path, device):
    """Two parts of 8 make as many steps as one batch of 16, and with frozen statistics the same ones."""

    def trained(parts):
        learner = module(replace(PGD, norm="none"), accumulate=parts, augment=Augmentation(0))
        # Batch norm would see each part on its own.
        learner.network.train = lambda mode=True: learner.network
        learner.network.eval()
        for part in learner.network.modules():
            part.training = False
        batches = Batches(few_digits.train, 16, 3, parts=parts)
        fit(learner, batches, 2, tmp_path / str(parts), Machine(device))
        assert learner.trainer.global_step == 4
        return torch.cat([value.flatten() for value in learner.network.parameters()])

    torch.testing.assert_close(trained(2), trained(1), rtol=0, atol=1e-6)


def test_the_average_is_that_of_the_formula(few_digits, tmp_path, device):
    learner = module(ema=0.5)
    seen = []
    learner.on_train_batch_end = lambda *_: seen.append(learner.network.head.weight.detach().cpu().clone())
    fit(learner, Batches(few_digits.train, 16, 3), 2, tmp_path, Machine(device))
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.5 * expected + 0.5 * weight
    torch.testing.assert_close(learner.kept.head.weight, expected)
    assert not any(parameter.requires_grad for parameter in averaged(learner.network, 0.5).parameters())


def test_held_out_images_are_balanced_and_never_trained_on(digits):
    rest, aside = hold_out(digits.train, 100)
    assert [len(aside.of_class(label)) for label in range(10)] == [10] * 10
    assert len(rest) + len(aside) == len(digits.train)
    kept = {image.numpy().tobytes() for image in aside.pixels(range(100))}
    assert not kept & {image.numpy().tobytes() for image in rest.pixels(range(len(rest)))}
    assert hold_out(digits.train, 100)[1].fingerprint == aside.fingerprint
    assert hold_out(digits.train, 0) == (digits.train, None)
    with pytest.raises(RequestError, match=r"recipe\.held_out: found 3000"):
        hold_out(digits.train, 3000)


def test_the_epoch_kept_is_the_best_on_held_out_images(few_digits, tmp_path, device):
    """Whatever came after; of equal ones the last."""
    learner = module(held_out=few_digits.test)
    scores, weights = iter([0.3, 0.6, 0.6, 0.2]), []

    def look(network):
        weights.append(network.head.weight.detach().cpu().clone())
        return {ROBUST: next(scores)}

    learner.held_out.look = look
    diary = fit(learner, Batches(few_digits.train, 16, 3), 4, tmp_path, Machine(device))
    assert diary.chosen["epoch"] == 3
    assert torch.equal(learner.kept.head.weight, weights[2])
    assert not torch.equal(weights[2], weights[3])


def test_held_out_images_tell_clean_from_robust(network, few_digits, device):
    network = network.to(device)
    found = HeldOut(few_digits.test, PGD, seed=0).look(network)
    assert found[ROBUST] <= found[CLEAN]
    assert HeldOut(few_digits.test, PGD, seed=0).look(network) == found
    assert set(HeldOut(few_digits.test, replace(PGD, norm="none"), 0).look(network)) == {CLEAN}


class Masked(torch.nn.Module):
    """Reads the first pixel, and hides its gradient from whoever starts at 0.5: one step there goes nowhere."""

    device = CPU

    def forward(self, x):
        pixel = x[:, 0, 0, 0]
        value = torch.where((pixel - 0.5).abs() < 0.05, pixel.detach() + 0 * pixel, pixel) - 0.35
        distraction = 10 * (x[:, 0, 1, 1] - 0.5).abs() * ((pixel - 0.5).abs() < 0.05)
        return torch.stack([value * 10 + distraction.detach() - distraction, torch.zeros_like(value)], 1)


def test_the_guard_says_when_only_the_training_attack_is_withstood(few_digits):
    """The network of this test misleads a single step and no path of several."""
    grey = MemoryImages("grey", torch.full((50, 1, 8, 8), 128, dtype=torch.uint8), torch.zeros(50), ("a", "b"))
    one_step = Adversary("linf", 0.2, 1, 0.02, random_start=True, keep="last")
    row = HeldOut(grey, one_step, seed=0).look(Masked())
    assert row[TRAINING] - row[ROBUST] > GAP
    assert overfitted(row)
    sound = {**row, ROBUST: row[TRAINING]}
    assert not overfitted(sound)
    assert onsets([row, row, sound, {**row, "epoch": 4}, row]) == [row, {**row, "epoch": 4}]
    assert TRAINING not in HeldOut(grey, PGD, seed=0).look(Masked())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["adversary=trades", "adversary.beta=null"], "adversary.beta: found none, but trades needs it"),
        (["adversary=l2", "adversary.beta=6"], "adversary.beta: found 6.0, but only adversary.method=trades"),
        (["adversary=trades", "adversary.random_start=false"], "adversary.random_start"),
        (["adversary=free", "adversary.steps=2"], "adversary.steps: found 2, allowed: 1"),
        (["adversary=free", "adversary.norm=none"], "adversary.norm: found none"),
        (["recipe.accumulate=3"], "recipe.accumulate: found 3, allowed: a divisor of batch_size"),
        (["adversary=free", "recipe.accumulate=2"], "recipe.accumulate: found 2, allowed: 1, as free replays"),
        (["recipe.label_smoothing=1"], "recipe.label_smoothing"),
    ],
)
def test_contradictions_are_refused(words, line):
    with pytest.raises(RequestError) as refused:
        load_config("train", words)
    assert line in str(refused.value)
