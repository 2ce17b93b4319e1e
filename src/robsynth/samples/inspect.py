"""A look at every pixel before anything is measured: digests for caches, and what is odd."""

import hashlib
from dataclasses import dataclass

import numpy as np

from robsynth.progress import track
from robsynth.samples.source import Samples, SampleSet


@dataclass(frozen=True)
class Inspection:
    """`digests` are of each chunk's pixels, `about` of all else that the samples know of themselves."""

    digests: tuple[str, ...]
    about: str
    duplicates: int
    warnings: tuple[str, ...]


def inspect(samples: Samples, size: int = 500) -> Inspection:
    """Read all samples once; `duplicates` are images that are pixel-exact copies of an earlier one."""
    digests: list[str] = []
    about, seen = hashlib.sha256(), set[bytes]()
    count = len(samples)
    chunks = samples.chunks(size)
    if count > 10 * size:
        chunks = track(chunks, f"looking at {samples.name}", total=-(-count // size))
    for chunk in chunks:
        digests.append(pixels_digest(chunk.images))
        seen.update(hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(chunk.images))
        _add(about, chunk)
    duplicates = count - len(seen)
    warnings = list(samples.warnings)
    if duplicates:
        warnings.append(f"{duplicates} of {count} images are copies of an earlier one")
    return Inspection(tuple(digests), about.hexdigest()[:16], duplicates, tuple(warnings))


def pixels_digest(images: np.ndarray) -> str:
    """A digest of the shape and the pixels of images, whatever they were read from."""
    return hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()[:16]


def _add(about: "hashlib._Hash", chunk: SampleSet) -> None:
    for name, array in chunk.arrays().items():
        if name != "images":
            about.update(name.encode() + np.ascontiguousarray(array).tobytes())
