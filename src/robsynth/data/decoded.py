"""Decoded copies of image files in the user's cache, so that only the first start decodes them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from robsynth.data.decode import centre
from robsynth.data.sources import Listing
from robsynth.data.sources.listing import digest_of
from robsynth.errors import RunError
from robsynth.files import cache_directory, write_atomically
from robsynth.progress import say, track

# Images that a thread decodes at a time.
PORTION = 100


def decoded(name: str, listing: Listing, order: Tensor, size: int) -> Tensor:
    """The images of a listing in this order, centred, as one uint8 (N, 3, size, size).

    Raises
    ------
    RequestError
        If an image cannot be read; the file is named.
    """
    # Decoders of JPEG differ in the last bit.
    key = digest_of(listing.digest, listing.written, listing.label_names, size, PIL.__version__)
    copy = cache_directory() / "decoded" / f"{name.replace('/', '-')}-{key}.npz"
    shape = (len(order), 3, size, size)
    pixels = _kept(copy, shape)
    if pixels is None:
        pixels = _decode(name, listing, order, shape)
        try:
            write_atomically(copy, lambda file: np.savez(file, pixels=pixels))
        except RunError as error:
            say(f"{name}: decoded without a copy for the next time; {error}")
    return torch.from_numpy(pixels)


def _kept(copy: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The copy, or None where there is none or it is damaged (the format has a checksum)."""
    if not copy.is_file():
        return None
    try:
        pixels = np.load(copy, allow_pickle=False)["pixels"]
        if pixels.shape == shape and pixels.dtype == np.uint8:
            return pixels
        raise ValueError(f"{pixels.dtype} {pixels.shape}")
    except Exception as error:  # A damaged archive raises nearly anything.
        say(f"{copy}: damaged ({error}), decoding again")
        return None


def _decode(name: str, listing: Listing, order: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    pixels = np.empty(shape, dtype=np.uint8)

    def decode(places: Tensor) -> None:
        for place in places.tolist():
            pixels[place] = centre(listing.open(int(order[place])), shape[-1]).numpy()

    portions = torch.arange(len(order)).split(PORTION)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for _ in track(threads.map(decode, portions), f"decoding {name}", total=len(portions)):
            pass
    return pixels
