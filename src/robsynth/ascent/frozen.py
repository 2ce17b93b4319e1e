"""The state a network has to be in while an image moves."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode and no gradients for weights inside the block; restored after it, module by module.

    Batch-norm statistics stay as they are, in adversarial training too (Santurkar et al. do the same), and
    a backward pass costs about half, since only the input's gradient is computed.
    """
    modes = {module: module.training for module in network.modules()}
    wanted = [p for p in network.parameters() if p.requires_grad]
    network.eval()
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield network
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        for module, training in modes.items():
            module.training = training
