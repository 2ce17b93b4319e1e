"""Every network computes where it was opened, found without a GPU: see tests/second_device.py."""

import pytest
import torch
from torch import nn

from made import ABOUT, gan
from robsynth.ascent import L2, frozen, towards
from robsynth.ascent.attack import attack
from robsynth.baselines.generator import load_generator, save_generator
from robsynth.classifiers import (
    NETWORKS,
    ImageSpec,
    build_classifier,
    load_classifier,
    open_classifier,
    save_classifier,
)
from robsynth.classifiers.zoo import Foreign
from robsynth.config import Network
from robsynth.randomness import generator

WIDTHS = [4, 8, 8, 16]


def check_used(network, channels, size=32):
    """What a network gives, moved images and the way back through a fake ReLU, all where it lies."""
    images, labels = torch.rand(2, channels, size, size).to(network.device), torch.arange(2).to(network.device)
    x = images.clone().requires_grad_()
    with frozen(network):
        towards(network(x, fake=True), labels).sum().backward()
    noise = [generator(0, i) for i in range(2)]
    moved = attack(network, images, labels, L2(1.0), 2, 0.5, "best", noise)
    parts = [network(images), network.representation(images), x.grad, moved]
    assert {part.device for part in parts} == {network.device}


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_network(arch, second_device):
    network = build_classifier(arch, [4, 8, 16], 3, 7, [0.5] * 3, [0.2] * 3, depth=10, widen=1).eval()
    check_used(network.to(second_device), 3)


def test_a_network_of_another_library(second_device):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    check_used(Foreign(network, [0.5], [0.2], (3, 32, 32)).to(second_device), 3)
    # It finds its head by a pass, wherever that library left its network.
    check_used(Foreign(network.to(second_device), [0.5] * 3, [0.2] * 3, (3, 32, 32)), 3)


def test_what_is_read_lies_on_the_device_that_was_asked_for(second_device, tmp_path):
    network, path = build_classifier("compact", WIDTHS, 1, 10, [0.1], [0.3]), tmp_path / "net.safetensors"
    save_classifier(path, network, ABOUT)
    spec = ImageSpec("mnist5k", ABOUT["label_names"], (1, 32, 32), [0.1], [0.3])
    settings = Network("compact", WIDTHS, checkpoint=str(path))
    for opened, _ in (
        load_classifier(path, device=second_device),
        open_classifier(settings, spec, device=second_device),
    ):
        assert not opened.training
        check_used(opened, 1)
    about = {"latent": 8, "width": 8, "shape": [1, 32, 32], "label_names": ABOUT["label_names"]}
    save_generator(tmp_path / "gan.safetensors", gan().average, about)
    assert load_generator(tmp_path / "gan.safetensors", device=second_device)[0].device == second_device
