"""Every way of training computes where its network lies, found without a GPU: see tests/second_device.py.

Lightning trains on no such device: its steps are made here, as it makes them, by a loop.
"""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from made import GAN, PGD, RECIPE, gan
from robsynth.baselines.generator import sample
from robsynth.classifiers import build_classifier
from robsynth.config import Adversary
from robsynth.data import DataSet, MemoryImages
from robsynth.data.batches import Portion
from robsynth.randomness import generator
from robsynth.training.adversarial import AdversarialTraining
from robsynth.training.held_out import CLEAN, ROBUST, TRAINING

ONE_STEP = Adversary("linf", 0.1, 1, 0.1, random_start=True, keep="last")
METHODS = {
    "pgd": PGD,
    "one step": ONE_STEP,
    "free": replace(ONE_STEP, method="free", replays=2),
    "trades": replace(PGD, method="trades", beta=6.0),
    "plain": replace(PGD, norm="none"),
}


def with_stand_in(module, device, batch=8):
    """The module on `device` with what its steps need of Lightning: where in the training they are, and a log."""
    # Held here, because a module holds its trainer weakly.
    module.stand_in = module.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(portion=Portion.of(batch, 0, 1)),
        precision_plugin=SimpleNamespace(forward_context=nullcontext),
        current_epoch=0,
        global_step=0,
    )
    module.log = lambda *_, **__: None
    return module.to(device)


@pytest.fixture(scope="session")
def colours():
    """Twelve images of noise to train on, and as many held out."""
    noise = torch.randint(256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator(0, "colours"))
    train, test = (MemoryImages("noise", part, torch.arange(12) % 10, list("0123456789")) for part in noise.chunk(2))
    return DataSet("noise", train, test, "made up")


def batch_of(images, device, count=8):
    return tuple(part.to(device) for part in images.take(range(count)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_looks_at_held_out_images(method, channels, second_device, few_digits, colours):
    data = few_digits if channels == 1 else colours
    augmented = replace(RECIPE.augment, lighting=0.1 if channels == 3 else 0)
    recipe = replace(RECIPE, ema=0.9, label_smoothing=0.1, schedule="steps", drops=[1], augment=augmented)
    network = build_classifier("compact", [4, 8, 8, 16], channels, 10, [0.1] * channels, [0.3] * channels)
    module = with_stand_in(AdversarialTraining(network, METHODS[method], recipe, 3, data.test), second_device)
    optimiser = module.configure_optimizers()["optimizer"]
    for number in range(3):
        loss = module.training_step(batch_of(data.train, second_device), number)
        assert loss.device == second_device
        optimiser.zero_grad()
        loss.backward()
        module.on_after_backward()
        optimiser.step()
        module.average.update_parameters(module.network)
    expected = {CLEAN} if method == "plain" else {CLEAN, ROBUST}
    expected |= {TRAINING} if method in ("one step", "free") else set()
    assert expected | {"loss", "accuracy"} == set(module.after_epoch())


def test_free_goes_on_from_a_checkpoint_which_is_read_on_the_cpu(second_device, few_digits):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    module = with_stand_in(AdversarialTraining(network, METHODS["free"], RECIPE, 3), second_device)
    module.method.load({"added": torch.zeros(8, 1, 32, 32)}, 0, 8)
    module.training_step(batch_of(few_digits.train, second_device), 0).backward()
    module.on_after_backward()
    assert module.method.added.device == second_device
    assert module.method.state()["added"].device.type == "cpu"


def test_the_gan_trains_and_is_sampled(second_device, few_digits):
    module = with_stand_in(gan(), second_device)
    optimisers = module.configure_optimizers()
    module.optimizers, module.manual_backward = lambda: optimisers, lambda loss: loss.backward()
    for number in range(GAN.critic_steps):
        module.training_step(batch_of(few_digits.train, second_device), number)
    assert set(module.after_epoch()) == {"critic_gap"}
    made = sample(module.kept.eval(), torch.arange(3), torch.arange(3), seed=0)
    assert made.device == second_device
    assert made.shape == (3, 1, 32, 32)


def test_a_share_of_a_batch_draws_the_whole_batchs_noise_there(second_device, few_digits):
    """As each of several processes does."""
    images, labels = batch_of(few_digits.train, second_device, 3)
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3]).to(second_device)
    module = AdversarialTraining(network, PGD, RECIPE, 3)
    share = Portion.of(8, 1, 3).share(generator(0, "train"))
    losses, _ = module.method(network, images, labels, share)
    assert losses.shape == (3,)
