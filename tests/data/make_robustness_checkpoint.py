"""How robustness_checkpoint.npz was made: checkpoints of the authors' library (PyPI `robustness` 1.2.1.post2).

    pip install robustness dill pandas tqdm gitpython cox tensorboardX
    PYTHONPATH=tests python tests/data/make_robustness_checkpoint.py

For each network the library builds, saves and runs it. Kept are its logits and all of the file but the elements of
its tensors, which a rule gives (tests/fixed_weights.py): the pickle, byte for byte, and whose elements each of its
storages holds. So a test can put the whole file together again.

The library moves tensors to a GPU unconditionally and asks torchvision for a name that is gone; the shims below
let it run.
"""

import json
import sys
import tempfile
import types
import zipfile
from pathlib import Path

import numpy as np
import torch

from fixed_weights import fixed, fixed_images

torch.Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
torch.nn.Module.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
sys.modules["torchvision.models.utils"] = types.ModuleType("utils")
sys.modules["torchvision.models.utils"].load_state_dict_from_url = torch.hub.load_state_dict_from_url

import dill  # noqa: E402
from robustness import datasets  # noqa: E402
from robustness.model_utils import make_and_restore_model  # noqa: E402
from robustness.train import make_optimizer_and_schedule  # noqa: E402

CASES = {
    "resnet18_cifar": ("resnet18", datasets.CIFAR, 32),
    "resnet50_cifar": ("resnet50", datasets.CIFAR, 32),
    "resnet50": ("resnet50", datasets.RestrictedImageNet, 64),
}
ARGS = types.SimpleNamespace(
    lr=0.1, momentum=0.9, weight_decay=5e-4, mixed_precision=False, custom_lr_multiplier=None, lr_interpolation="step",
    step_lr=50, step_lr_gamma=0.1, epochs=150,
)  # fmt: skip

stored = {}
for ours, (arch, kind, size) in CASES.items():
    model, _ = make_and_restore_model(arch=arch, dataset=kind("/nowhere"), parallel=True)
    weights = {name: fixed(name, value.shape) for name, value in model.module.model.state_dict().items()}
    model.module.model.load_state_dict(weights)
    optimizer, schedule = make_optimizer_and_schedule(ARGS, model, None, None)
    # As robustness.train.train_model saves it.
    content = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        "epoch": 150, "amp": None, "adv_prec1": torch.tensor(70.1),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "checkpoint.pt"
        torch.save(content, path, pickle_module=dill)
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        model, _ = make_and_restore_model(arch=arch, dataset=kind("/nowhere"), resume_path=str(path))
    elements = {value.numpy().tobytes(): name for name, value in weights.items()}
    sources = {}
    for name in [name for name in members if name.startswith("data/")]:
        held = members.pop(name)
        source = elements.get(held)
        # Counters are all alike; the normalisation and the accuracy are short enough to be kept.
        sources[name] = {"hex": held.hex()} if len(held) <= 16 else {"tensor": source, "shape": weights[source].shape}
    with torch.no_grad():
        logits, _ = model.eval()(fixed_images(size))
    stored[f"{ours}_logits"] = logits.numpy()
    stored[f"{ours}_sources"] = np.frombuffer(json.dumps(sources).encode(), np.uint8)
    for name, held in members.items():
        stored[f"{ours}_file_{name}"] = np.frombuffer(held, np.uint8)
    print(ours, sorted(members), len(members["data.pkl"]), logits.std().item(), logits)
np.savez_compressed(Path(__file__).with_name("robustness_checkpoint.npz"), **stored)
