"""Networks, their normalisation and representation, and checkpoints that are safe to open."""

import pickle

import pytest
import torch

from robsynth.classifiers import (
    NETWORKS,
    ImageSpec,
    architecture,
    build_classifier,
    find_checkpoint,
    load_classifier,
    open_classifier,
    opening,
    read_checkpoint,
    read_extra,
    save_classifier,
)
from robsynth.classifiers.classifier import fake_relu
from robsynth.config import ARCHITECTURES, FOREIGN, Network, check
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
def test_logits_are_the_head_on_the_representation(arch, device):
    network = build_classifier(arch, [4, 8, 16], 3, 7, [0.5] * 3, [0.2] * 3, depth=10, widen=2).eval().to(device)
    x = torch.rand(2, 3, 32, 32, device=device)
    representation = network.representation(x)
    assert representation.shape == (2, DIMENSIONS[arch])
    assert (representation >= 0).all()
    torch.testing.assert_close(network(x), network.head(representation))
    assert network(x).shape == (2, 7)
    assert network.classes == 7


def test_the_normalisation_is_inside(device):
    plain = build_classifier("compact", [4, 8], 1, 3, [0.0], [1.0]).eval().to(device)
    inside = build_classifier("compact", [4, 8], 1, 3, [0.3], [0.5]).eval().to(device)
    x = torch.rand(2, 1, 16, 16, device=device)
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


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_network_comes_back_from_its_description(arch, tmp_path):
    given = {"widths": [4, 8], "depth": 10, "widen": 1}
    settings = Network(arch, **{key: given[key] for key in ARCHITECTURES[arch]})
    check(settings)
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    network = build_classifier(arch, settings.widths, 3, 2, mean, std, 0, settings.depth, settings.widen)
    about = {**architecture(settings), "channels": 3, "label_names": ["cat", "dog"], "dataset": "pets"}
    save_classifier(tmp_path / "classifier.safetensors", network, about)
    loaded, found = load_classifier(tmp_path / "classifier.safetensors")
    weights = loaded.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert found == {**about, "mean": pytest.approx(mean), "std": pytest.approx(std)}


def test_half_of_the_bytes_give_nearly_the_same_logits(tmp_path):
    network = build_classifier("compact", [16, 32, 64], 1, 10, [0.1307], [0.3081]).eval()
    whole, half = (tmp_path / f"{name}.safetensors" for name in ("whole", "half"))
    save_classifier(whole, network, {**ABOUT, "widths": [16, 32, 64]})
    save_classifier(half, network, {**ABOUT, "widths": [16, 32, 64]}, half=True)
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    loaded, _ = load_classifier(half)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.mean, network.mean)
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=2e-3)


def test_what_sixteen_bits_cannot_hold_keeps_its_own(network, tmp_path):
    torch.nn.init.constant_(network.head.weight, 1e6)
    save_classifier(tmp_path / "large.safetensors", network, ABOUT, half=True)
    loaded, _ = load_classifier(tmp_path / "large.safetensors")
    assert (loaded.head.weight == 1e6).all()


def test_extra_tensors_travel_with_a_classifier(network, tmp_path):
    path = tmp_path / "bundle.safetensors"
    extra = {"seeds.mean": torch.rand(3, 4), "seeds.factor": torch.rand(3, 4, 2).half(), "other": torch.ones(1)}
    save_classifier(path, network, ABOUT, extra=extra)
    found = read_extra(path, "seeds.")
    assert found.keys() == {"mean", "factor"}
    assert torch.equal(found["mean"], extra["seeds.mean"])
    assert found["factor"].dtype == torch.float32
    assert read_extra(path, "absent.") == {}
    assert torch.equal(load_classifier(path)[0].head.weight, network.head.weight)


def test_a_description_that_does_not_fit_is_refused(network, tmp_path):
    path = tmp_path / "classifier.safetensors"
    for change in ({"widths": [4, 8, 8, 32]}, {"widths": []}, {"arch": "wide_resnet"}, {"channels": "one"}):
        save_classifier(path, network, {**ABOUT, **change})
        with pytest.raises(RequestError, match=r"classifier\.safetensors: weights and description do not fit"):
            load_classifier(path)
    save_classifier(path, network, {**ABOUT, "arch": "alexnet"})
    with pytest.raises(RequestError, match=r"arch: found 'alexnet', allowed: compact, "):
        load_classifier(path)


def test_a_bundle_is_found_by_its_name(network, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "bundles", lambda: {"digits": tmp_path / "bundles" / "digits.safetensors"})
    save_classifier(tmp_path / "bundles" / "digits.safetensors", network, ABOUT)
    assert find_checkpoint("digits") == tmp_path / "bundles" / "digits.safetensors"
    settings = Network("residual", [4], checkpoint="digits")
    loaded, about = open_classifier(settings, ImageSpec("mnist5k", ABOUT["label_names"], (1, 32, 32), [0], [1]))
    assert torch.equal(loaded.head.weight, network.head.weight)
    assert about["arch"] == "compact"
    with pytest.raises(RequestError, match=r"digits\.safetensors has 10 classes, allowed: 2, as dataset=pets"):
        open_classifier(settings, ImageSpec("pets", ["cat", "dog"], (1, 32, 32), [0], [1]))
    with pytest.raises(RequestError, match=r"^judge: no file letters; allowed: a file, digits$"):
        find_checkpoint("letters", "judge")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Network("compact"), r"^classifier\.widths: found an empty list, but compact needs it$"),
        (
            Network("resnet50", widths=[64]),
            r"^classifier\.widths: found \[64\], but only \S+=compact or residual reads",
        ),
        (Network("residual", widths=[4], depth=16), r"^classifier\.depth: found 16, but only \S+=wide_resnet reads it"),
        (Network("wide_resnet", depth=28), r"^classifier\.widen: found none, but wide_resnet needs it$"),
        (Network("wide_resnet", depth=30, widen=4), r"^classifier\.depth: found 30, allowed: 6 n \+ 4"),
        (Network("wide_resnet", depth=4, widen=4), r"^classifier\.depth: found 4, allowed: a number >= 10$"),
        (Network("timm"), r"^classifier\.model: found none, but timm needs it$"),
        (Network("timm", model="vit", checkpoint="x.pt"), r"^classifier\.checkpoint: found x\.pt, but timm brings"),
        (Network("robustbench", model="x", threat="L1"), r"^classifier\.threat: found 'L1', allowed: Linf, L2, corr"),
        (Network("resnet51"), r"^classifier\.arch: found 'resnet51', allowed: compact, residual, resnet18_cifar"),
    ],
)
def test_contradictions_are_refused_by_key(settings, complaint):
    with pytest.raises(RequestError, match=complaint):
        check(settings, "classifier.")


@pytest.mark.parametrize("arch", [*NETWORKS, *FOREIGN])
def test_every_network_has_a_name_on_the_command_line(arch):
    from robsynth.config.compose import load_config

    named = ["classifier.model=NAME"] if arch in FOREIGN else []
    assert load_config("train", [f"classifier={arch}", *named]).classifier.arch == arch
