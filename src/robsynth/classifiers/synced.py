"""Batch normalisation over the batches of all processes, so that a batch may be shared between any number of them."""

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from robsynth import processes

Network = TypeVar("Network", bound=nn.Module)


class _Sum(torch.autograd.Function):
    """The sum over all processes; each one's gradient is the sum of what all of them make of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` that takes mean and variance over the batches (n, C, H, W) of all processes while it trains.

    PyTorch's `SyncBatchNorm` does it on GPUs only. The shares may differ in size, but none may be empty.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or processes.count() == 1:
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        own = torch.full((1,), values.numel() / self.num_features, device=x.device)
        variance, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        totals = _Sum.apply(torch.cat([own * mean, own]))
        count, common = totals[-1], totals[:-1] / totals[-1]
        # In two sums, because a sum of squares would cancel where the mean is large.
        common_variance = _Sum.apply(own * (variance + (mean - common).square())) / count
        self._keep(common.detach(), common_variance.detach() * (count / (count - 1)))
        scale = (common_variance + self.eps).rsqrt()
        shift = -common * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards these."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def with_synced_batch_norms(network: Network) -> Network:
    """The same network; every `BatchNorm2d` is replaced, in place, under its name and with its parameters."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _synced(child))
    return network


def _synced(plain: nn.BatchNorm2d) -> SyncedBatchNorm2d:
    synced = SyncedBatchNorm2d(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
    # The very parameters and buffers, to which an optimiser may refer.
    for name, value in [*plain.named_parameters(), *plain.named_buffers()]:
        setattr(synced, name, value)
    return synced.train(plain.training)
