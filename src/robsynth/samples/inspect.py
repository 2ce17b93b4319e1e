"""One look at every pixel: what samples are, in digests, and what is odd about them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from robsynth.progress import track
from robsynth.samples.source import Samples, SampleSet

# From so many chunks on there is a progress bar.
MANY = 10


@dataclass(frozen=True)
class Inspection:
    """What was seen of samples.

    `digests` are of each chunk's shape and pixels, 16 hex characters each, whatever the images were read from;
    `about_digest` is of all that is known of the images besides ("" where nothing is); `duplicates` counts images
    that are a pixel-exact copy of an earlier one; `warnings` is for whoever measures.
    """

    digests: tuple[str, ...]
    about_digest: str
    duplicates: int
    warnings: list[str]


def inspect(samples: Samples, size: int = 500) -> Inspection:
    """Look at all samples once, in chunks of `size`."""
    chunks: Iterable[SampleSet] = samples.chunks(size)
    count = -(-len(samples) // size)
    if count >= MANY:
        chunks = track(chunks, f"reading {samples.name}", total=count)
    digests: list[str] = []
    seen: set[bytes] = set()
    about = {name: hashlib.sha256() for name in sorted(samples.has - {"images"})}
    for chunk in chunks:
        hashes = [hashlib.sha256(np.ascontiguousarray(image)).digest()[:16] for image in chunk.images]
        seen.update(hashes)
        # Of the images' hashes, so that every pixel is hashed once.
        digests.append(_hex(str(chunk.images.shape).encode() + b"".join(hashes)))
        arrays = chunk.arrays()
        for name, known in about.items():
            known.update(np.ascontiguousarray(_plain(arrays[name])))
    duplicates = len(samples) - len(seen)
    copies = [f"{duplicates} of {len(samples)} images are copies of an earlier one"] if duplicates else []
    return Inspection(tuple(digests), _joined(about), duplicates, samples.warnings + copies)
