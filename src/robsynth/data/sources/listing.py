"""What every layout comes down to: labels, and a way to open each image."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from robsynth.errors import RequestError


@dataclass(frozen=True)
class Listing:
    """One split of a data set as its source has it; no image is open yet.

    `read(i)` gives image i as encoded bytes, or as pixels (H, W, 3) where the source keeps those; `origin(i)`
    says where it is, for people; `digest` changes when the source changes.
    """

    labels: Sequence[int]
    label_names: tuple[str, ...]
    read: Callable[[int], bytes | np.ndarray]
    origin: Callable[[int], str]
    digest: str

    def open(self, i: int) -> Image.Image:
        """Image i as RGB: greyscale is repeated over the channels, transparency is dropped.

        Raises
        ------
        RequestError
            If it cannot be decoded; the file is named.
        """
        content = self.read(i)
        if isinstance(content, np.ndarray):
            return Image.fromarray(content)
        try:
            return Image.open(io.BytesIO(content)).convert("RGB")
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            raise RequestError(f"{self.origin(i)}: not a readable image ({error})") from None


def digest_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
