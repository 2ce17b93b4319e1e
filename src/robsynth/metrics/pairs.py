"""How far images are from their originals: one number for each pair.

Images and originals are uint8 (n, H, W, C). A mask, uint8 or bool (n, H, W, C or 1), is not 0 where an image may
differ from its original; with one, only that part counts. The figure of an empty mask is NaN.
"""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from robsynth.errors import RequestError
from robsynth.files import file_sha1, shown
from robsynth.machine import arithmetic

ALEXNET = "alexnet-owt-7be5be79.pth"
ALEXNET_URL = f"https://download.pytorch.org/models/{ALEXNET}"
BATCH = 50


class TooSmall(RequestError):
    """Images have fewer pixels than a metric needs."""


def psnr_each(images: np.ndarray, originals: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, (n,); infinite where an image is its original."""
    errors = np.square((images.astype(np.float64) - originals) / 255)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(_mean_each(errors, mask))


def ssim_each(images: np.ndarray, originals: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Structural similarity in [-1, 1], (n,): Wang et al. (2004), equation 13, averaged over pixels and channels.

    11x11 Gaussian window of sigma 1.5 at every pixel, the image mirrored at its edges.
    """
    from scipy.ndimage import gaussian_filter

    def blur(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, (0, 1.5, 1.5, 0), mode="mirror", truncate=3.5))

    a, b = images / 255, originals / 255
    mean_a, mean_b = blur(a), blur(b)
    squares, product = np.square(mean_a) + np.square(mean_b), mean_a * mean_b
    variances, covariance = blur(a * a + b * b) - squares, blur(a * b) - product
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return _mean_each(similarity, mask)


def _mean_each(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The mean over each image's pixels and channels, or over those in its mask, (n,)."""
    if mask is None:
        return values.mean((1, 2, 3))
    inside = np.broadcast_to(mask != 0, values.shape)
    with np.errstate(invalid="ignore"):
        return np.where(inside, values, 0).sum((1, 2, 3)) / inside.sum((1, 2, 3))


class Lpips(nn.Module):
    """Learned perceptual distance (Zhang et al., 2018, equation 1), the linear heads of version 0.1 on AlexNet."""

    layers = (1, 4, 7, 9, 11)
    smallest = 31
    shift: Tensor
    scale: Tensor

    def __init__(self, alexnet: nn.Sequential, heads: list[Tensor], digest: str) -> None:
        """`heads` are (1, channels, 1, 1), one for each of the layers; `digest` is that of AlexNet's weights."""
        super().__init__()
        self.body, self.digest = alexnet[: max(self.layers) + 1], digest
        self.heads = nn.ParameterList(heads)
        # To ImageNet's mean and deviation, for images in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of images (n, 3, H, W) in [-1, 1]."""
        a, b = ((x - self.shift) / self.scale for x in (a, b))
        distances = torch.zeros(len(a), device=a.device)
        heads = iter(self.heads)
        for index, layer in enumerate(self.body):
            a, b = layer(a), layer(b)
            if index in self.layers:
                distances += conv2d((_unit(a) - _unit(b)).square(), next(heads)).mean((1, 2, 3))
        return distances


def _unit(features: Tensor) -> Tensor:
    """Each pixel's channels as a vector of length 1."""
    return features / (features.square().sum(1, keepdim=True) + 1e-8).sqrt()


def open_lpips(device: torch.device) -> Lpips:
    """The heads that torchmetrics ships, on torchvision's AlexNet, which is never downloaded unasked.

    It computes on `device`, in IEEE float32.

    Raises
    ------
    RequestError
        If AlexNet's weights are not in torch hub's directory, or are not AlexNet's.
    """
    import torchmetrics.functional.image
    from torchvision.models import alexnet

    path = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    if not path.is_file():
        raise RequestError(f"LPIPS: no file {shown(path)}; allowed: AlexNet's weights there, from {ALEXNET_URL}")
    network = alexnet(weights=None)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise RequestError(f"{path}: not torchvision's AlexNet ({error})") from None
    shipped = Path(torchmetrics.functional.image.__file__).parent / "lpips_models" / "alex.pth"
    heads = torch.load(shipped, map_location="cpu", weights_only=True)
    ours = [heads[f"lin{i}.model.1.weight"] for i in range(len(Lpips.layers))]
    return Lpips(network.features, ours, file_sha1(path)[:12]).to(device)


@torch.inference_mode()
def lpips_each(lpips: Lpips, images: np.ndarray, originals: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """LPIPS, (n,), 0 for equal images; grey ones are repeated over the channels.

    With a mask, what is outside of it is the original in both images.

    Raises
    ------
    TooSmall
        If images have too few pixels for AlexNet.
    """
    height, width = images.shape[1:3]
    if min(height, width) < lpips.smallest:
        raise TooSmall(f"LPIPS: found images of {width}x{height} pixels, allowed: at least {lpips.smallest} a side")
    if mask is not None:
        images = np.where(mask != 0, images, originals)
    device = lpips.shift.device
    found = []
    with arithmetic("fp32", device):
        for first in range(0, len(images), BATCH):
            a, b = (_to_network(part[first : first + BATCH]).to(device) for part in (images, originals))
            found.append(lpips(a, b).cpu())
    each = torch.cat(found).double().numpy()
    return each if mask is None else np.where(mask.any((1, 2, 3)), each, np.nan)


def _to_network(images: np.ndarray) -> Tensor:
    """uint8 (n, H, W, C) to float (n, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float() / 127.5 - 1
