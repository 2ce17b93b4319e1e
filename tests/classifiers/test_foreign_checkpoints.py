"""Other people's checkpoints: the authors' library's, torchvision's, and files that mean harm."""

import argparse
import json
import pickle
import re
import shlex
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from fixed_weights import fixed, fixed_images
from harness import FIXTURES
from robsynth.classifiers import Ensemble, ImageSpec, load_classifier, open_classifier, resnets
from robsynth.classifiers.pickles import Inert, Unreadable, read_tensors_only
from robsynth.classifiers.zoo import Foreign
from robsynth.cli import main
from robsynth.config import Network
from robsynth.errors import RequestError, RunError
from robsynth.records.card import read_card

REFERENCE = FIXTURES / "robustness_checkpoint.npz"
CASES = {"resnet18_cifar": (32, 10), "resnet50_cifar": (32, 10), "resnet50": (64, 9)}
NAMES = tuple("0123456789")


def opened(path, arch="resnet18_cifar", classes=10, size=32, **settings):
    network = Network(arch, checkpoint=str(path), **settings)
    return open_classifier(network, ImageSpec("digits", NAMES[:classes], (3, size, size), [0.4] * 3, [0.2] * 3))


def write_library_file(path, arch):
    """The checkpoint that the authors' library wrote, put together again; see make_robustness_checkpoint.py."""
    with np.load(REFERENCE) as stored, zipfile.ZipFile(path, "w") as archive:
        start = f"{arch}_file_"
        for name in (name for name in stored.files if name.startswith(start)):
            archive.writestr(f"checkpoint/{name.removeprefix(start)}", stored[name].tobytes())
        for name, source in json.loads(stored[f"{arch}_sources"].tobytes()).items():
            held = fixed(source["tensor"], source["shape"]).numpy().tobytes() if "tensor" in source else None
            archive.writestr(f"checkpoint/{name}", bytes.fromhex(source["hex"]) if held is None else held)
        return torch.from_numpy(stored[f"{arch}_logits"])


@pytest.mark.parametrize("arch", CASES)
def test_a_checkpoint_of_the_authors_library_gives_its_logits(arch, tmp_path):
    size, classes = CASES[arch]
    wanted = write_library_file(tmp_path / "checkpoint.pt", arch)
    network, about = opened(tmp_path / "checkpoint.pt", arch, classes, size)
    with torch.no_grad():
        found = network(fixed_images(size))
    assert wanted.std() > 0.5
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert about["arch"] == arch
    # torch's own reader and the one that knows tensors only agree.
    by_torch = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    by_us = read_tensors_only(tmp_path / "checkpoint.pt")["model"]
    assert by_torch.keys() == by_us.keys()
    assert all(torch.equal(by_torch[name], by_us[name]) for name in by_torch)


@pytest.fixture
def small(monkeypatch):
    """ResNets with few channels."""
    monkeypatch.setattr(resnets, "STAGE_WIDTHS", (4, 8, 8, 16))


@pytest.fixture
def state(small):
    """The weights of a small CIFAR ResNet-18 by the library's names, without any prefix."""
    network, dimension = resnets.resnet18_cifar(3)
    shapes = {name.replace("downsample", "shortcut"): value.shape for name, value in network.state_dict().items()}
    shapes |= {"linear.weight": (10, dimension), "linear.bias": (10,)}
    return OrderedDict((name, fixed(name, shape)) for name, shape in shapes.items())


def as_saved(state):
    """As the library saves it: a DataParallel of the network, once more in its attacker, and the normalisation."""
    mean, std = (torch.full((3, 1, 1), value) for value in (0.5, 0.25))
    model = OrderedDict({"module.normalizer.new_mean": mean, "module.normalizer.new_std": std})
    model |= {f"module.model.{name}": value for name, value in state.items()}
    model |= {"module.attacker.normalize.new_mean": mean, "module.attacker.normalize.new_std": std}
    return model | {f"module.attacker.model.{name}": value for name, value in state.items()}


def same_weights(network, state):
    found = network.state_dict()
    assert torch.equal(found["head.weight"], state["linear.weight"])
    assert torch.equal(found["features.layer4.1.bn2.running_var"], state["layer4.1.bn2.running_var"])
    assert torch.equal(found["features.layer2.0.downsample.0.weight"], state["layer2.0.shortcut.0.weight"])
    return True


@pytest.mark.parametrize("pickler", ["pickle", "dill"])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("entry", ["model", "state_dict"])
def test_what_is_more_than_tensors_is_left_out(pickler, zipped, entry, state, tmp_path):
    module = pytest.importorskip(pickler)
    more = {
        "args": argparse.Namespace(lr=0.1), "prec1": np.float64(0.7), "history": np.arange(3),
        "kinds": {"a", "b"}, "type": torch.nn.Conv2d, "module": torch.nn.Conv2d(2, 3, 1),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }  # fmt: skip
    if pickler == "dill":
        more["schedule"] = {"lr_lambdas": [lambda epoch: 0.1**epoch]}
    path = tmp_path / "checkpoint.pt"
    torch.save({entry: as_saved(state), **more}, path, pickle_module=module, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    network, _ = opened(path)
    assert same_weights(network, state)
    assert network.mean.flatten().tolist() == [0.5] * 3
    assert network.std.flatten().tolist() == [0.25] * 3
    content = read_tensors_only(path)
    assert isinstance(content["args"], Inert)
    assert content["parameter"].tolist() == [1, 1]


@pytest.mark.parametrize("prefix", ["module.model.", "module.attacker.model.", "model.", "module.", ""])
def test_every_prefix_is_understood(prefix, state, tmp_path):
    torch.save({"model": {prefix + name: value for name, value in state.items()}}, tmp_path / "weights.pt")
    network, about = opened(tmp_path / "weights.pt")
    assert same_weights(network, state)
    assert network.mean.flatten().tolist() == pytest.approx([0.4] * 3)
    assert about["label_names"] == list(NAMES)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_torchvision_s_weights_give_torchvision_s_logits(arch, tmp_path):
    from torchvision import models

    theirs = models.get_model(arch, num_classes=10).eval()
    theirs.load_state_dict({name: fixed(name, value.shape) for name, value in theirs.state_dict().items()})
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours, _ = opened(tmp_path / "weights.pth", arch)
    x = fixed_images(64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs((x - 0.4) / 0.2), rtol=0, atol=1e-5)


def test_the_usual_wide_resnet_file_fits(tmp_path):
    names = {"conv1.weight": (16, 3, 3, 3), "fc.weight": (10, 128), "fc.bias": (10,)}
    before = 16
    for block, width in ((1, 32), (2, 64), (3, 128)):
        layer = f"block{block}.layer.0"
        names |= {f"{layer}.conv1.weight": (width, before, 3, 3), f"{layer}.conv2.weight": (width, width, 3, 3)}
        names |= {f"{layer}.convShortcut.weight": (width, before, 1, 1)}
        for norm, size in (("bn1", before), ("bn2", width)):
            names |= {f"{layer}.{norm}.{what}": (size,) for what in ("weight", "bias", "running_mean", "running_var")}
        before = width
    names |= {f"bn1.{what}": (128,) for what in ("weight", "bias", "running_mean", "running_var")}
    torch.save({name: fixed(name, shape) for name, shape in names.items()}, tmp_path / "wrn.pt")
    network, about = opened(tmp_path / "wrn.pt", "wide_resnet", depth=10, widen=2)
    assert torch.equal(network.head.bias, fixed("fc.bias", (10,)))
    assert (about["depth"], about["widen"]) == (10, 2)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return (os.system, (f"touch {shlex.quote(str(self.path))}",))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["alone", "beside", "within"])
def test_code_in_a_file_is_never_executed(where, zipped, state, tmp_path):
    trap, path = Trap(tmp_path / "sprung"), tmp_path / "checkpoint.pt"
    content = {
        "alone": trap,
        "beside": {"optimizer": trap, "model": as_saved(state)},
        "within": {"model": as_saved(state) | {"module.trap": trap}},
    }[where]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if where == "alone":
        with pytest.raises(RequestError, match=r"cannot be read safely .* robsynth convert checkpoint="):
            opened(path)
    else:
        assert same_weights(opened(path)[0], state)
    assert not (tmp_path / "sprung").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "sprung").exists()  # The trap does work.


@pytest.mark.parametrize(
    "code",
    [
        b'cbuiltins\neval\n(S\'open("sprung", "w")\'\ntR.',
        b"(S'touch sprung'\nios\nsystem\n.",
        b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch sprung\x85\x81.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'__slots__'\nNstb.",
        b"ccollections\nOrderedDict.fromkeys.__globals__\n.",
        b"N.",
        b"",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_bare_pickles_are_read_as_nothing(code, zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", code)
    else:
        path.write_bytes(code)
    with pytest.raises(RequestError, match=r"checkpoint\.pt cannot be read safely"):
        opened(path)
    assert [found.name for found in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_what_is_cut_short_is_refused(kept, zipped, state, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": as_saved(state)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(RequestError, match=r"^classifier\.checkpoint: .*checkpoint\.pt cannot be read safely"):
        opened(path)


def test_a_tensor_cannot_reach_out_of_its_storage(tmp_path):
    """Four numbers in the file, a tensor of a million."""
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": {"a": torch.arange(4.0)}, "more": argparse.Namespace()}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (index,) = (name for name in members if name.endswith("data.pkl"))
    assert members[index].count(b"K\x04\x85") == 1  # (4,)
    members[index] = members[index].replace(b"K\x04\x85", b"J\x40\x42\x0f\x00\x85")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(Unreadable):
        read_tensors_only(path)


def test_what_does_not_fit_is_named(state, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": as_saved(state)}, path)
    with pytest.raises(RequestError, match=r"is no resnet50_cifar: layer1\.0\.downsample\.0\.weight is missing"):
        opened(path, "resnet50_cifar")
    with pytest.raises(RequestError, match=r"checkpoint\.pt has 10 classes, allowed: 2, as dataset=digits"):
        opened(path, classes=2)
    with pytest.raises(RequestError, match=r"module\.model\.conv1\.weight is 4x3x3x3, allowed: 4x3x7x7"):
        opened(path, "resnet18")
    torch.save(state | {"layer5.weight": torch.ones(1)}, path)
    with pytest.raises(RequestError, match=r"is no resnet18_cifar: layer5\.weight has no place in it"):
        opened(path)
    del state["layer3.0.bn1.bias"]
    torch.save(state, path)
    with pytest.raises(RequestError, match=r"is no resnet18_cifar: layer3\.0\.bn1\.bias is missing"):
        opened(path)
    torch.save([1, 2], path)
    with pytest.raises(RequestError, match="it holds no tensors with names"):
        opened(path)
    with pytest.raises(RequestError, match=r"^classifier\.checkpoint: no file absent\.pt"):
        opened("absent.pt")
    with pytest.raises(RequestError, match=r"^classifier\.checkpoint: none given"):
        open_classifier(Network("resnet18"), ImageSpec("digits", NAMES, (3, 32, 32), [0], [1]))


class Whole(torch.nn.Module):
    """A network that is saved as an object."""

    def __init__(self, state):
        super().__init__()
        self.own = state

    def state_dict(self, *args, **kwargs):
        return self.own


def test_convert_says_what_it_trusts_and_writes_one_of_ours(small, tmp_path, monkeypatch, capsys):
    """A network pickled as an object needs its code: refused, with the command that helps, and that command helps."""
    monkeypatch.chdir(tmp_path)
    network, dimension = resnets.resnet18_cifar(1)
    state = {name: fixed(name, value.shape) for name, value in network.state_dict().items()}
    state |= {"fc.weight": fixed("fc.weight", (10, dimension)), "fc.bias": fixed("fc.bias", (10,))}
    torch.save(Whole(state), "my network.pt")
    words = ["convert", "checkpoint=my network.pt", "classifier=resnet18_cifar", "dataset=mnist5k"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    command = shlex.split(re.search(r"robsynth (convert .*)", said.err)[1])
    assert command[-1] == "trust=true"
    assert not (tmp_path / "my network.pt.safetensors").exists()

    assert main(command) == 0
    said = capsys.readouterr()
    assert "executes whatever code is in it" in said.err
    done = json.loads(said.out)
    loaded, about = load_classifier(done["checkpoint"])
    assert torch.equal(loaded.head.weight, state["fc.weight"])
    assert about["source"] == "my network.pt"
    assert len(about["label_names"]) == 10


def test_convert_needs_no_trust_for_tensors(small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network, dimension = resnets.resnet18_cifar(1)
    state = {name: fixed(name, value.shape) for name, value in network.state_dict().items()}
    state |= {"fc.weight": fixed("fc.weight", (10, dimension)), "fc.bias": fixed("fc.bias", (10,))}
    torch.save({"model": state, "args": argparse.Namespace()}, "w.pt")
    words = ["convert", "checkpoint=w.pt", "classifier=resnet18_cifar", "dataset=mnist5k", "half=true", "out=w.st"]
    assert main(words) == 0
    assert "executes" not in capsys.readouterr().err
    assert (tmp_path / "w.st").stat().st_size < 0.7 * (tmp_path / "w.pt").stat().st_size
    loaded, _ = load_classifier("w.st")
    torch.testing.assert_close(loaded.head.weight, state["fc.weight"], rtol=1e-3, atol=1e-5)
    card = read_card(Path("w.st"))
    assert (card["copy of"], card["weights"]["bits"]) == ("w.pt", 16)
    assert main(words) == 2
    assert "out: w.st exists" in capsys.readouterr().err
    assert main(["convert", "checkpoint=w.st"]) == 2
    assert "checkpoint: w.st is a safetensors file" in capsys.readouterr().err
    assert main(["convert"]) == 2
    assert "checkpoint: none given" in capsys.readouterr().err


def zoo(arch, model, shape=(3, 64, 64), classes=1000, dataset="imagenet", **settings):
    names = tuple(map(str, range(classes)))
    spec = ImageSpec(dataset, names, shape, [0.5] * 3, [0.5] * 3)
    return open_classifier(Network(arch, model=model, **settings), spec)


@pytest.fixture
def torchvision_weights(monkeypatch):
    """torchvision's weights by the rule instead of by a download."""
    from torchvision import models

    def get_state_dict(weights, *args, **kwargs):
        name = type(weights).__name__.removesuffix("_Weights").lower()
        shapes = {key: value.shape for key, value in models.get_model(name).state_dict().items()}
        return {key: fixed(key, shape) for key, shape in shapes.items()}

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", get_state_dict)


def test_a_network_of_torchvision_by_name(torchvision_weights, tmp_path):
    theirs, about = zoo("torchvision", "resnet18")
    assert about["source"].endswith("resnet18, IMAGENET1K_V1")
    assert theirs.classes == 1000
    x = fixed_images(64)
    torch.testing.assert_close(theirs(x), theirs.head(theirs.representation(x)))
    torch.testing.assert_close(theirs(x), theirs(x, fake=True))

    torch.save(theirs.network.state_dict(), tmp_path / "weights.pth")
    settings = Network("resnet18", checkpoint=str(tmp_path / "weights.pth"))
    statistics = [value.flatten().tolist() for value in (theirs.mean, theirs.std)]
    ours, _ = open_classifier(settings, ImageSpec("imagenet", about["label_names"], (3, 64, 64), *statistics))
    for fake in (False, True):
        gradients = []
        for network in (theirs, ours):
            start = x.clone().requires_grad_()
            gradients += torch.autograd.grad(network.representation(start, fake)[:, 3].sum(), start)
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
        assert gradients[0].abs().sum() > 0


def test_a_foreign_network_without_relu_has_no_fake_one():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5), torch.nn.GELU(), torch.nn.Linear(5, 2))
    foreign = Foreign(network, [0.5] * 3, [0.5] * 3, (3, 2, 2))
    x = torch.rand(4, 3, 2, 2)
    assert foreign.representation(x).shape == (4, 5)
    assert torch.equal(foreign(x), foreign(x, fake=True))
    assert torch.equal(foreign(x), network((x - 0.5) / 0.5))


def test_what_a_zoo_does_not_have_is_one_line(torchvision_weights, monkeypatch):
    with pytest.raises(RequestError, match=r"classifier\.model: found 'resnet81', allowed: resnet\d+"):
        zoo("torchvision", "resnet81")
    with pytest.raises(RequestError, match=r"classifier\.model: resnet18 has 1000 classes, allowed: 10, as dataset="):
        zoo("torchvision", "resnet18", classes=10, dataset="cifar10")
    with pytest.raises(RequestError, match=r"classifier\.model: it takes images of 3 channels, found 1"):
        zoo("torchvision", "resnet18", shape=(1, 64, 64))
    with pytest.raises(RequestError, match=r"it does not take images of 3x64x64 .*allowed: dataset\.size="):
        zoo("torchvision", "vit_b_32")
    with pytest.raises(RequestError, match="does not end in a linear layer"):
        zoo("torchvision", "squeezenet1_0")
    with pytest.raises(RequestError, match=r"^dataset: found 'mnist5k', allowed with robustbench: cifar10"):
        zoo("robustbench", "Standard", dataset="mnist5k", threat="L2")
    for library in ("timm", "robustbench"):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(RequestError, match=rf"{library} cannot be imported .*pip install 'robsynth\[zoo\]'"):
            zoo(library, "resnet18", threat="L2" if library == "robustbench" else None)


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", fail)
    with pytest.raises(RunError, match=r"torchvision could not give the weights of resnet18 \(OSError: no route to ho"):
        zoo("torchvision", "resnet18")


def test_timm_is_asked_for_trained_weights_and_its_normalisation(monkeypatch):
    """With a stand-in for timm, which is an extra: its four names that are used."""
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU(), torch.nn.Linear(12, 2))
    asked = []
    timm, data = types.ModuleType("timm"), types.ModuleType("timm.data")
    timm.__version__, timm.data, timm.list_models = "1", data, lambda: ["tiny_vit"]
    timm.create_model = lambda name, pretrained: asked.append((name, pretrained)) or network
    data.resolve_model_data_config = lambda model: {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    found, about = zoo("timm", "tiny_vit.in1k", (3, 2, 2), classes=2)
    assert asked == [("tiny_vit.in1k", True)]
    assert found.std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert (about["arch"], about["model"], about["source"]) == ("timm", "tiny_vit.in1k", "timm 1, tiny_vit.in1k")


def test_an_ensemble_is_the_mean_of_the_logits():
    parts = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU(), torch.nn.Linear(12, 2)) for _ in range(3)]
    networks = [Foreign(part, [0.5] * 3, [0.5] * 3, (3, 2, 2)) for part in parts]
    ensemble = Ensemble(networks)
    x = torch.rand(4, 3, 2, 2)
    torch.testing.assert_close(ensemble(x), sum(network(x) for network in networks) / 3)
    assert torch.equal(ensemble.representation(x), networks[0].representation(x))
    assert ensemble.head is networks[0].head
    assert len(list(ensemble.parameters())) == 6
    three = Foreign(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)), [0], [1], (3, 2, 2))
    with pytest.raises(RequestError, match=r"ensemble: found networks of \[2, 3\] classes"):
        Ensemble([networks[0], three])
