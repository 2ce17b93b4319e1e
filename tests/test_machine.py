"""What a machine promises of its arithmetic: the flags that torch computes by, and that they are left as they were."""

import pytest
import torch

from robsynth.machine import CPU, arithmetic, deterministic

CUDA = torch.device("cuda")


def flags():
    cudnn = torch.backends.cudnn
    tf32 = (cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    return (*tf32, cudnn.deterministic, cudnn.benchmark, torch.get_deterministic_debug_mode())


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_tf32_is_used_where_it_is_asked_for_and_nowhere_else(precision, device):
    before = flags()
    with arithmetic(precision, device):
        assert flags()[:2] == (precision == "tf32",) * 2
        product = torch.eye(2, device=device) @ torch.eye(2, device=device)
        assert product.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert flags() == before


def test_on_a_gpu_kernels_are_chosen_that_give_the_same_bits(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = flags()

    def fails_inside():
        with deterministic(CUDA):
            assert flags()[2:] == (True, False, 1)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fails_inside()
    assert flags() == before
    with deterministic(CPU):
        assert flags() == before


def test_the_same_tensors_give_the_same_bits(device):
    """Also on the way back, which adds up in parallel."""
    generator = torch.Generator().manual_seed(0)
    images, weights = (torch.randn(8, 3, n, n, generator=generator).to(device) for n in (64, 3))

    def gradient():
        w = weights.clone().requires_grad_()
        torch.nn.functional.conv2d(images, w, padding=1).relu().sum().backward()
        return w.grad

    with arithmetic("fp32", device), deterministic(device):
        assert torch.equal(gradient(), gradient())
