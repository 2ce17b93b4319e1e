"""What every layout comes down to: labels, and a way to open each image."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robsynth.errors import RequestError


@dataclass(frozen=True)
class Listing:
    """One split of a data set as its source has it; no image is open yet.

    `labels` are int64 (N,); `read(i)` gives image i as encoded bytes, or as pixels (H, W, 3) where the source
    keeps those; `origin(i)` says where it is, for people. `digest` tells the content, wherever it lies;
    `written` is a digest of when its files were written here, for changes that the other does not see.

    Raises
    ------
    RequestError
        For a label that names no class; its image is named.
    """

    labels: Tensor
    label_names: tuple[str, ...]
    read: Callable[[int], bytes | np.ndarray]
    origin: Callable[[int], str]
    digest: str
    written: str = ""

    def __post_init__(self) -> None:
        outside = ((self.labels < 0) | (self.labels >= len(self.label_names))).nonzero()
        if len(outside):
            i = int(outside[0])
            raise RequestError(
                f"{self.origin(i)}: found label {int(self.labels[i])}, allowed: 0 to {len(self.label_names) - 1}"
            )

    def open(self, i: int) -> Image.Image:
        """Image i as RGB of 8 bits: greyscale is repeated over the channels, transparency is dropped.

        Raises
        ------
        RequestError
            If it cannot be decoded, or has more than 8 bits a channel; the file is named.
        """
        content = self.read(i)
        if isinstance(content, np.ndarray):
            return Image.fromarray(content)
        try:
            image = Image.open(io.BytesIO(content))
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode {image.mode}, allowed: 8 bits a channel")
            # By way of RGBA, or Pillow warns of palettes with transparency.
            return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")
        except Exception as error:  # A damaged file raises nearly anything.
            raise RequestError(f"{self.origin(i)}: not a readable image ({error})") from None

    def relabelled(self, new_labels: Sequence[int | None], label_names: tuple[str, ...]) -> "Listing":
        """With label k as `new_labels[k]`; images whose new label is None are left out."""
        lookup = torch.tensor([-1 if label is None else label for label in new_labels])
        rows = (lookup[self.labels] >= 0).nonzero()[:, 0]
        return replace(
            self, labels=lookup[self.labels[rows]], label_names=label_names,
            read=lambda i: self.read(int(rows[i])), origin=lambda i: self.origin(int(rows[i])),
        )  # fmt: skip


def digest_of(*parts: object) -> str:
    """A short digest of arrays, bytes and of plain values."""
    content = hashlib.sha256()
    for part in parts:
        content.update(part if isinstance(part, bytes | memoryview) else repr(part).encode())
    return content.hexdigest()[:16]
