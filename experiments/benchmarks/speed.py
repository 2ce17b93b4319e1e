"""Adversarial training and synthesis: here, and by the authors' library (PyPI `robustness`).

    pip install 'robsynth[benchmarks]'
    python experiments/benchmarks/speed.py [training] [synthesis] [linearity]

measures the parts that are named, or all three, into results/benchmarks/speed.json (the others stay), and renders
speed.md, speed_summary.md and speed.png from it. With CIFAR-10 (dataset.root, ROBSYNTH_DATA); without it training is
measured on the embedded digits and FID is left out.

Network, first weights, batch, attack, schedule and images are the same for both libraries, and so is the machine: every
way is a process of its own with as many threads, and they compute in turn, an epoch or a batch of images at a time, so
that what disturbs one disturbs all. Not counted: imports, data, the first epoch, and one step before the first batch.
The authors' library runs as its walkthroughs run it, see speed_ways/authors.py for the shim; robsynth draws its start
images in its own time, the library is given them.
"""

import io
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import binomtest

from robsynth.config import Dataset, Metrics
from robsynth.data import DataSet, load_data
from robsynth.errors import RequestError
from robsynth.files import read_json, write_atomically, write_json, write_text
from robsynth.machine import resolve_machine
from robsynth.metrics.evaluate import Evaluation
from robsynth.progress import say
from robsynth.records.provenance import git_commit, machine, versions
from robsynth.samples import open_samples
from speed_ways.turns import Worker

OUT = Path(__file__).parents[2] / "results" / "benchmarks"
CORES = 2
RIVAL = "authors' library"
FID = "fid_train4000_fast"
ATTACK = "pgd20"
TRAINING_WAYS: dict[str, dict[str, Any]] = {
    RIVAL: {"library": "authors", "words": []},
    "robsynth, the same attack": {"library": "ours", "words": []},
    "robsynth, one step from a random point": {"library": "ours", "words": ["adversary=single_step"]},
}
PAPER = [
    "tasks.generation.eps=30", "tasks.generation.steps=60", "tasks.generation.step_size=0.5",
    "tasks.generation.keep=best", "tasks.generation.objective=cross_entropy",
]  # fmt: skip
SYNTHESIS_WAYS: dict[str, dict[str, Any]] = {
    f"{RIVAL}, as in the authors' notebooks": {"library": "authors", "notebook": True, "words": PAPER},
    f"{RIVAL}, its built-in loss": {"library": "authors", "notebook": False, "words": PAPER},
    "robsynth, the same settings in float32": {"library": "ours", "words": [*PAPER, "precision=fp32"]},
    "robsynth, the same settings": {"library": "ours", "words": PAPER},
    "robsynth, its own settings": {"library": "ours", "words": []},
}
SHIPPED = ["classifier=cifar10_laptop"]
# For each network: how many training images, epochs, and test images on which accuracy is measured.
NETWORKS = {
    "classifier=residual classifier.widths=[64,192,384]": (1920, 5, 500),
}


def training(dataset: str, networks: dict[str, tuple[int, int, int]] = NETWORKS) -> dict[str, Any]:
    rows = []
    for network, (images, epochs, test_images) in networks.items():
        # The authors' library keeps the last epoch.
        recipe = [
            "recipe=paper_cifar10",
            "recipe.held_out=0",
            f"recipe.epochs={epochs}",
            f"recipe.drops=[{max(1, epochs - 1)}]",
        ]
        words = [f"dataset={dataset}", *network.split(), "adversary=paper_cifar10", *recipe]
        asked = {"images": images, "test_images": test_images, "attack": ATTACK}
        for row in in_turn("training", TRAINING_WAYS, words, asked, epochs):
            rates = [round(images / seconds, 2) for seconds in row.pop("seconds")[1:]]
            rows.append({"network": network, **asked, "epochs": epochs, "images_per_second": rates, **row})
    return {"dataset": dataset, "rows": rows}


def synthesis(
    reference: DataSet | None, rounds: int = 3, batch: int = 100, extra: Sequence[str] = ()
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as kept:
        asked = {"rounds": rounds, "batch": batch}
        for row in in_turn("synthesis", SYNTHESIS_WAYS, SHIPPED, asked, rounds, Path(kept), extra):
            rates = [round(batch / seconds, 2) for seconds in row.pop("seconds")]
            rows.append({"images": rounds * batch, "batch": batch, "images_per_second": rates, **row})
        figures = fids(Path(kept), reference) if reference else {}
    return {"rows": [{**row, **figures.get(row["way"], {})} for row in rows]}


def fids(kept: Path, reference: DataSet) -> dict[str, dict[str, Any]]:
    evaluation = Evaluation(Metrics([FID], 200), resolve_machine("cpu", "auto"), reference)
    found = {}
    for way in SYNTHESIS_WAYS:
        (figure,) = evaluation.measure("generation", open_samples(kept / f"{way}.npy"))
        assert figure.interval is not None
        found[way] = {"fid": figure.value, "interval": list(figure.interval), "protocol": figure.protocol.name}
    return found


def linearity(
    dataset: str, words: Sequence[str] = next(iter(NETWORKS)).split(), steps: Sequence[int] = (5, 10, 20, 40),
    images: Sequence[int] = (128, 256, 512, 1024), attack_steps: Sequence[int] = (1, 2, 4, 7),
    training_images: Sequence[int] = (128, 256, 512, 1024), batch: int = 64, rounds: int = 3,
) -> dict[str, Any]:  # fmt: skip
    asked = {
        "steps": steps, "images": images, "attack_steps": attack_steps, "training_images": training_images,
        "batch": batch, "rounds": rounds,
        "train_words": [
            f"dataset={dataset}", *words, "adversary=single_step", "recipe=paper_cifar10", "recipe.held_out=0",
        ],
    }  # fmt: skip
    (row,) = in_turn("linearity", {"robsynth": {"words": []}}, SHIPPED, asked, 1)
    lines = [{"of": name, "points": points, **line(points)} for name, points in row["rows"].items()]
    return {"dataset": dataset, "batch": batch, "lines": lines}


def line(points: list[list[float]]) -> dict[str, float]:
    """Least squares of seconds against n."""
    n, seconds = np.array(points).T
    slope, start = np.polyfit(n, seconds, 1)
    left = ((seconds - start - slope * n) ** 2).sum() / ((seconds - seconds.mean()) ** 2).sum()
    return {"seconds_each": float(slope), "seconds_at_0": float(start), "r2": float(1 - left)}


def in_turn(
    part: str, ways: dict[str, dict[str, Any]], words: list[str], asked: dict[str, Any], turns: int,
    keep: Path | None = None, extra: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each way: the seconds of its turns, and its result; the images that it made go to `keep`.

    Settings are `words`, then the way's own, then `extra`.
    """
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as temporary:
        try:
            for number, (way, own) in enumerate(ways.items()):
                folder = Path(temporary) / str(number)
                folder.mkdir()
                job = {**asked, **own, "part": part, "words": [*words, *own["words"], *extra], "folder": str(folder)}
                workers[way] = Worker(json.dumps({**job, "threads": CORES}), Path(temporary) / f"{way}.txt")
            rows: dict[str, dict[str, Any]] = {way: {"way": way, "seconds": []} for way in ways}
            for turn in range(turns):
                for way, worker in workers.items():
                    answer = worker.turn()
                    seconds = answer.pop("seconds")
                    rows[way] = {**rows[way], "seconds": [*rows[way]["seconds"], seconds], **answer}
                    say(f"{part}, turn {turn + 1} of {turns}: {way}: {seconds:.1f} s")
            if keep is not None:
                for number, way in enumerate(ways):
                    shutil.copy(Path(temporary) / str(number) / "images.npy", keep / f"{way}.npy")
        finally:
            for worker in workers.values():
                worker.stop()
    return list(rows.values())


def share(value: float, count: int) -> str:
    """A share of so many images in per cent, with its 95 % interval (Wilson)."""
    low, high = binomtest(round(value * count), count).proportion_ci(method="wilson")
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def name_of(network: str) -> str:
    return network.replace("classifier=", "").replace("classifier.widths=", "")


def rated(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Each row with its median rate, as a multiple of the first row's, and its memory, as cells."""
    first = statistics.median(rows[0]["images_per_second"])
    cells = []
    for row in rows:
        rate = statistics.median(row["images_per_second"])
        cells.append((row, f"{row['way']} | {rate:.1f} | {rate / first:.1f} | {row['peak_gb']:.2f}"))
    return cells


def training_table(part: dict[str, Any]) -> list[str]:
    lines = [
        f"| network | way | images/s | ratio | peak GiB | clean accuracy, % | under {ATTACK}, % |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for network in dict.fromkeys(row["network"] for row in part["rows"]):
        for row, cells in rated([row for row in part["rows"] if row["network"] == network]):
            found = [share(row[key], row["test_images"]) if key in row else "" for key in ("clean", "robust")]
            lines.append(f"| {name_of(network)} | {cells} | {' | '.join(found)} |")
    return lines


def synthesis_table(part: dict[str, Any]) -> list[str]:
    lines = ["| way | images/s | ratio | peak GiB | FID |", "|---|---:|---:|---:|---:|"]
    for row, cells in rated(part["rows"]):
        fid = "{:.1f} [{:.1f}, {:.1f}]".format(row["fid"], *row["interval"]) if "fid" in row else "n/a"
        lines.append(f"| {cells} | {fid} |")
    return lines


def linearity_table(part: dict[str, Any]) -> list[str]:
    lines = ["| seconds against | measured at | seconds for each | at 0 | R² |", "|---|---|---:|---:|---:|"]
    for found in part["lines"]:
        at = ", ".join(f"{n:g}: {seconds:.2f}" for n, seconds in found["points"])
        slope, start = found["seconds_each"], found["seconds_at_0"]
        lines.append(f"| {found['of']} | {at} | {slope:.4f} | {start:.2f} | {found['r2']:.4f} |")
    return lines


def render_summary(record: dict[str, Any]) -> str:
    """The two tables of rates, for README."""
    lines = []
    if part := record.get("training"):
        where, row = part["machine"], part["rows"][0]
        lines += [
            f"Adversarial training on {part['dataset']}, batch 128, 7 L2 steps in a ball of 0.5 but for the last row "
            f"of each network, on {where['threads']} threads of {where['processor']}; accuracy after {row['epochs']} "
            f"epochs of {row['images']:,} images, the first {row['test_images']} test images, 95 % intervals. "
            "Ratios are to each network's first row.",
            "", *training_table(part), "",
        ]  # fmt: skip
    if part := record.get("synthesis"):
        where, row = part["machine"], part["rows"][0]
        protocol = f", `{row['protocol']}`" if "protocol" in row else ""
        lines += [
            f"Generation with `cifar10_laptop`, {row['images']} images from the same start images in batches of "
            f"{row['batch']}, 60 steps of 0.5 on cross-entropy but for the last row (30 of 0.2 on the logit), on "
            f"{where['threads']} threads of {where['processor']}{protocol}, 95 % intervals. "
            "Ratios are to the first row.",
            "", *synthesis_table(part), "",
        ]  # fmt: skip
    return "\n".join(lines[:-1]) + "\n"


def render(record: dict[str, Any]) -> str:
    """The record as Markdown: all tables, and what they hold."""
    lines = [render_summary(record)]
    if part := record.get("linearity"):
        lines += [
            f"Cost of robsynth against what a user sets, on {part['dataset']}, in batches of {part['batch']} generated "
            "and 128 training images: best of some rounds in seconds, and the line of least squares.",
            "", *linearity_table(part), "",
            "![Seconds against steps and images](speed.png)", "",
        ]  # fmt: skip
    parts = [f"{name}: {record[name]['commit'][:12]}" for name in PARTS if name in record]
    torch_version, library_version = (record["versions"][name] for name in ("torch", "robustness"))
    lines.append(
        f"Medians of repeats in turn, torch {torch_version}, robustness {library_version}; "
        f"by `python experiments/benchmarks/speed.py`; commits: {', '.join(parts)}."
    )
    return "\n".join(lines) + "\n"


def plot(part: dict[str, Any]) -> bytes:
    """A panel for each line."""
    figure = Figure(figsize=(3.2 * len(part["lines"]), 2.6), layout="constrained")
    for axes, found in zip(figure.subplots(1, len(part["lines"])), part["lines"], strict=True):
        n, seconds = np.array(found["points"]).T
        axes.plot(n, seconds, "o")
        ends = np.array([0, n.max()])
        axes.plot(ends, found["seconds_at_0"] + found["seconds_each"] * ends, color="0.5", linewidth=1)
        axes.set(xlabel=found["of"], ylabel="seconds", ylim=(0, None), title=f"R² = {found['r2']:.4f}")
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


PARTS = ("training", "synthesis", "linearity")


def data_here() -> DataSet | None:
    """CIFAR-10, where it is."""
    try:
        return load_data(Dataset("cifar10", download=False))
    except RequestError as error:
        say(f"without CIFAR-10: {error}")
        return None


def write(record: dict[str, Any], out: Path) -> None:
    write_json(out / "speed.json", record)
    write_text(out / "speed.md", render(record))
    write_text(out / "speed_summary.md", render_summary(record))
    if "linearity" in record:
        png = plot(record["linearity"])
        write_atomically(out / "speed.png", lambda file: file.write(png))


def main(parts: Sequence[str] = PARTS, out: Path = OUT, **small: dict[str, Any]) -> None:
    """Measure `parts` into `out`; `small` has, by part, arguments of its function, for a quick test."""
    data = data_here()
    dataset = data.name if data else "mnist5k"
    path = out / "speed.json"
    record: dict[str, Any] = read_json(path) if path.exists() else {}
    for part in parts:
        arguments = small.get(part, {})
        found = synthesis(data, **arguments) if part == "synthesis" else MEASURES[part](dataset, **arguments)
        where = {**machine(resolve_machine("cpu", "auto")), "threads": CORES}
        found = {**found, "commit": git_commit(), "machine": where}
        ours = {**versions(), "robustness": version("robustness")}
        record = {**record, "benchmark": "speed", "commit": git_commit(), "versions": ours, part: found}
        write(record, out)
    say(render(record))
    print(json.dumps({part: record[part] for part in parts}))


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {"training": training, "linearity": linearity}

if __name__ == "__main__":
    torch.set_num_threads(CORES)
    if unknown := [part for part in sys.argv[1:] if part not in PARTS]:
        raise SystemExit(f"{unknown[0]}: not a part; allowed: {', '.join(PARTS)}")
    main(sys.argv[1:] or PARTS)
