"""How robustness_l2.npz was made: the authors' library (PyPI `robustness` 1.2.1.post2) on a fixed network.

    pip install robustness dill pandas tqdm gitpython cox tensorboardX
    python tests/data/make_robustness_l2.py

The library moves tensors to a GPU unconditionally; the one line below lets it stay on the CPU. Its own
normalisation is switched off, and the network does it instead: the library clamps there once more, and the gradient
of `clamp` on the edge of the box was 1 when the paper was written and is 0 in today's torch, so that with it a pixel
that has become black or white would stay so.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from robustness.attacker import Attacker
from torch import nn

torch.Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


class Normalise(nn.Module):
    def forward(self, x):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]))
        return (x - mean) / std


network = nn.Sequential(
    Normalise(), nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 8 * 8, 5)
).eval()
dataset = SimpleNamespace(mean=torch.zeros(3), std=torch.ones(3))
images, labels = torch.rand(6, 3, 8, 8), torch.arange(6) % 5
stored = {f"weights_{name}": value.numpy() for name, value in network.state_dict().items()}
stored |= {"images": images.numpy(), "labels": labels.numpy()}
for targeted in (False, True):
    for use_best in (False, True):
        attacker = Attacker(network, dataset)
        moved = attacker(
            images,
            labels,
            constraint="2",
            eps=1.0,
            step_size=0.3,
            iterations=12,
            targeted=targeted,
            use_best=use_best,
            should_normalize=False,
        )
        stored[f"{'targeted' if targeted else 'untargeted'}_{'best' if use_best else 'last'}"] = moved.numpy()
np.savez_compressed(Path(__file__).with_name("robustness_l2.npz"), **stored)
