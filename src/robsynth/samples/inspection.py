"""A look at every pixel before anything is measured: digests for caches, and what is odd."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robsynth.progress import track

if TYPE_CHECKING:
    from robsynth.samples.source import Samples

# Of how many images a digest is; features are kept in chunks of as many.
CHUNK = 500


@dataclass(frozen=True)
class Inspection:
    """`digests` are of each chunk's pixels, `about` of all else that the samples know of themselves, if anything.

    `duplicates` are images that are pixel-exact copies of an earlier one.
    """

    digests: tuple[str, ...]
    about: str
    duplicates: int
    warnings: tuple[str, ...]


def inspect(samples: "Samples", size: int) -> Inspection:
    """Read all samples once, `size` of them at a time."""
    digests: list[str] = []
    seen: set[bytes] = set()
    about = {name: hashlib.sha256() for name in sorted(samples.has - {"images"})}
    count = len(samples)
    chunks = samples.chunks(size)
    if count > 10 * size:
        chunks = track(chunks, f"looking at {samples.name}", total=-(-count // size))
    for chunk in chunks:
        digests.append(pixels_digest(chunk.images))
        seen.update(hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(chunk.images))
        arrays = chunk.arrays()
        for name, known in about.items():
            # Labels are the same labels in whatever integers they are kept.
            known.update(arrays[name].astype(np.int64 if name == "wanted" else np.uint8).tobytes())
    duplicates = count - len(seen)
    warnings = list(samples.warnings)
    if duplicates:
        warnings.append(f"{duplicates} of {count} images are copies of an earlier one")
    return Inspection(tuple(digests), _joined(about), duplicates, tuple(warnings))


def pixels_digest(images: np.ndarray) -> str:
    """A digest of the shape and the pixels of images, whatever they were read from."""
    return hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()[:16]


def _joined(about: "dict[str, hashlib._Hash]") -> str:
    content = "".join(f"{name} {known.hexdigest()}" for name, known in about.items())
    return hashlib.sha256(content.encode()).hexdigest()[:16] if content else ""
