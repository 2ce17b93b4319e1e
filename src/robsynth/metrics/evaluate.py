"""Every figure of a set of samples."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from robsynth.classifiers import AnyClassifier
from robsynth.config import Metrics
from robsynth.data import ImageSet
from robsynth.errors import RequestError, RunError
from robsynth.files import cache_directory, read_npz, write_atomically
from robsynth.metrics import distances, pairs
from robsynth.metrics.figures import Figure, Protocol
from robsynth.metrics.inception import Inception, pixels_digest
from robsynth.progress import say, track
from robsynth.samples import SampleSet


@dataclass(frozen=True)
class Judge:
    """A standard classifier that took no part in making the images, and the digest of its weights."""

    network: AnyClassifier
    digest: str
    label_names: tuple[str, ...]

    @torch.inference_mode()
    def logits(self, images: np.ndarray, device: torch.device, batch_size: int = 250) -> np.ndarray:
        """float32 (n, classes) for uint8 (n, H, W, C)."""
        network = self.network.to(device).eval()
        rows = []
        for first in track(range(0, len(images), batch_size), "judge"):
            batch = torch.from_numpy(images[first : first + batch_size]).permute(0, 3, 1, 2)
            rows.append(network(batch.to(device).float() / 255).cpu())
        return torch.cat(rows).numpy()


@dataclass(frozen=True)
class Evaluation:
    """Measures sets of samples against one reference; what they share is computed once."""

    settings: Metrics
    extractor: Inception
    reference: ImageSet
    judge: Judge | None
    seed: int
    device: torch.device

    @cached_property
    def _reference_images(self) -> np.ndarray:
        count = self.settings.reference_count
        if len(self.reference) < count:
            raise RequestError(
                f"metrics.reference_count: found {count}, "
                f"allowed: at most {len(self.reference)} ({self.reference.name})"
            )
        return self.reference.pixels(range(count)).permute(0, 2, 3, 1).numpy()

    @cached_property
    def _reference_features(self) -> np.ndarray:
        """Of the reference's features a copy is kept, by the content of the images and of the weights."""
        images = self._reference_images
        name = f"{pixels_digest(images)}-{self.extractor.name}-{self.extractor.digest}-2048.npz"
        path = cache_directory() / "features" / name
        if path.exists():
            try:
                return read_npz(path)["features"]
            except (RequestError, KeyError):
                say(f"{path}: damaged, computed anew")
        features = self.extractor.features(images, f"Inception: {self.reference.name}")["2048"]
        try:
            write_atomically(path, lambda file: np.savez(file, features=features))
        except RunError as error:
            say(f"not cached: {error}")
        return features

    def measure(self, subject: str, samples: SampleSet) -> list[Figure]:
        """All that can be measured of these samples, and why the rest cannot."""
        self._check_size(samples)
        return [
            *self.distances(subject, samples.images),
            *self.judged(subject, samples.images, samples.wanted),
            *self.compared(subject, samples.images, samples.original),
        ]

    def _check_size(self, samples: SampleSet) -> None:
        channels, *size = self.reference.shape
        expected = (*size, channels)
        if samples.images.shape[1:] != expected:
            raise RequestError(
                f"samples: images are {samples.images.shape[1:]} (height, width, channels), "
                f"allowed: {expected}, as in {self.reference.name}"
            )

    def distances(self, subject: str, images: np.ndarray) -> list[Figure]:
        """FID, KID and the Inception Score of uint8 images (n, H, W, C)."""
        s, count = self.settings, len(images)
        if count < s.kid_subset_size or count < 2:
            raise RequestError(
                f"metrics.kid_subset_size: found {s.kid_subset_size}, allowed: at most the {count} images of {subject}"
            )
        found = self.extractor.features(images, f"Inception: {subject}")
        features, reference = found["2048"], self._reference_features
        kid, kid_spread = distances.kernel_distance(features, reference, s.kid_subsets, s.kid_subset_size, self.seed)
        against = f"{self.reference.name.replace('/', '_')}{s.reference_count}"
        common = {
            **self.extractor.describe(),
            "reference": f"{self.reference.name}, first {s.reference_count}, {self.reference.fingerprint}",
            "images": count,
        }
        tail = f"{self.extractor.name}-{against}-n{count}"
        fid_protocol = Protocol(f"fid-{tail}", common)
        kid_protocol = Protocol(
            f"kid-{tail}-{s.kid_subsets}x{s.kid_subset_size}",
            {**common, "kernel": "polynomial, degree 3", "subsets": s.kid_subsets, "subset size": s.kid_subset_size,
             "seed": self.seed, "scale": "x 1000"},
        )  # fmt: skip
        return [
            Figure(subject, "fid", distances.frechet_distance(features, reference), fid_protocol),
            Figure(subject, "kid", 1000 * kid, kid_protocol, spread=1000 * kid_spread),
            self._inception_score(subject, found.get("logits"), count),
        ]

    def _inception_score(self, subject: str, logits: np.ndarray | None, count: int) -> Figure:
        splits = self.settings.score_splits
        protocol = Protocol(
            f"is-{self.extractor.name}-n{count}-{splits}splits",
            {**self.extractor.describe(), "layer": "logits without bias", "images": count, "splits": splits},
        )
        if logits is None:
            why = (
                f"not available: {self.extractor.weights.source} has the Inception network without its final layer, "
                "and without its 1008 logits there is no score; set metrics.inception_weights to torch-fidelity's "
                "weights-inception-2015-12-05-6726825d.pth"
            )
            return Figure(subject, "is", None, protocol, why=why)
        mean, spread = distances.inception_score(logits, splits, self.seed)
        return Figure(subject, "is", mean, protocol, spread=spread)

    def judged(self, subject: str, images: np.ndarray, wanted: np.ndarray | None) -> list[Figure]:
        """The judge's score, and the share of images that it gives to the wanted class (n,)."""
        if self.judge is None:
            return []
        splits, count = self.settings.score_splits, len(images)
        details = {
            "judge": f"trained without adversarial examples, sha1 {self.judge.digest}",
            "images": count,
        }
        logits = self.judge.logits(images, self.device)
        mean, spread = distances.inception_score(logits, splits, self.seed)
        tail = f"{self.judge.digest}-n{count}"
        score = Protocol(f"judge_score-{tail}-{splits}splits", {**details, "splits": splits, "seed": self.seed})
        figures = [Figure(subject, "judge_score", mean, score, spread=spread)]
        if wanted is not None:
            share = float((logits.argmax(1) == wanted).mean())
            figures.append(Figure(subject, "judge_share", share, Protocol(f"judge_share-{tail}", details)))
        return figures

    def compared(self, subject: str, images: np.ndarray, original: np.ndarray | None) -> list[Figure]:
        """PSNR and SSIM against the originals, laid out like the images."""
        if original is None:
            return []
        count = len(images)
        details = {"against": "the original image", "images": count, "average": "of the images' figures"}
        window = {**details, "window": "11x11 Gaussian, sigma 1.5, at every pixel, mirrored at the edges"}
        return [
            Figure(subject, "psnr", pairs.psnr(images, original), Protocol(f"psnr-original-n{count}", details)),
            Figure(subject, "ssim", pairs.ssim(images, original), Protocol(f"ssim-original-n{count}", window)),
        ]
