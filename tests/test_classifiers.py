"""Networks, their normalisation and representation, and checkpoints that are safe to open."""

import pickle

import pytest
import torch

from robsynth.classifiers import NETWORKS, build_classifier, load_classifier, read_checkpoint, save_classifier
from robsynth.classifiers.classifier import fake_relu
from robsynth.errors import RequestError

ABOUT = {
    "arch": "compact",
    "widths": [4, 8, 8, 16],
    "channels": 1,
    "dataset": "mnist5k",
    "label_names": list("abcdefghij"),
}


DIMENSIONS = {
    "compact": 16, "residual": 16, "resnet18_cifar": 512, "resnet50_cifar": 2048, "resnet18": 512, "resnet50": 2048,
    "wide_resnet": 128,
}  # fmt: skip


@pytest.mark.parametrize("arch", NETWORKS)
def test_logits_are_the_head_on_the_representation(arch):
    network = build_classifier(arch, [4, 8, 16], 3, 7, [0.5] * 3, [0.2] * 3, depth=10, widen=2).eval()
    x = torch.rand(2, 3, 32, 32)
    representation = network.representation(x)
    assert representation.shape == (2, DIMENSIONS[arch])
    assert (representation >= 0).all()
    torch.testing.assert_close(network(x), network.head(representation))
    assert network(x).shape == (2, 7)
    assert network.classes == 7


def test_the_normalisation_is_inside():
    plain = build_classifier("compact", [4, 8], 1, 3, [0.0], [1.0]).eval()
    inside = build_classifier("compact", [4, 8], 1, 3, [0.3], [0.5]).eval()
    x = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(inside(x), plain((x - 0.3) / 0.5))


def test_weights_depend_on_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, same, other = (build_classifier("compact", [4, 8], 1, 3, [0], [1], seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_fake_relu_has_the_value_of_relu_and_the_gradient_of_identity(network):
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    assert fake_relu(x).tolist() == [0, 3]
    (gradient,) = torch.autograd.grad(fake_relu(x).sum(), x)
    assert gradient.tolist() == [1, 1]
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(network(images, fake=True), network(images))


def test_a_checkpoint_gives_back_network_and_description(network, tmp_path):
    path = tmp_path / "deep" / "classifier.safetensors"
    save_classifier(path, network, ABOUT)
    loaded, about = load_classifier(path)
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(loaded(x), network(x))
    assert about["label_names"] == ABOUT["label_names"]
    assert not loaded.training
    save_classifier(tmp_path / "again.safetensors", network, ABOUT)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["classifier.safetensors"]


def test_what_is_no_checkpoint_is_refused_by_name(network, tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_classifier(whole, network, ABOUT)
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(whole.read_bytes()[:-100])
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    for path in (truncated, text, empty, tmp_path / "absent", tmp_path):
        with pytest.raises(RequestError, match=path.name):
            read_checkpoint(path)


def test_a_pickle_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = tmp_path / "trap.pt"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RequestError, match="no robsynth checkpoint"):
        load_classifier(path)
    assert not (tmp_path / "sprung").exists()
