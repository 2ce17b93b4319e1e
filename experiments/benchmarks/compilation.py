"""What `torch.compile` would gain in adversarial training and in generation, and after how many images it has paid.

    python experiments/benchmarks/compilation.py

writes results/benchmarks/compilation.json, and compilation.md from it. Each network does the same work as it is and
compiled, a batch in turn; the first batch of each is not counted as work: what it takes longer than the others is
what compiling costs. A training batch is one attack step from a random point and one step of SGD.
"""

import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.compiler.config
from torch.nn.functional import cross_entropy

from robsynth.ascent import L2, ascend, frozen, towards
from robsynth.ascent.attack import attack
from robsynth.classifiers import Classifier, build_classifier
from robsynth.files import write_json, write_text
from robsynth.machine import CPU, arithmetic, resolve_machine
from robsynth.progress import say
from robsynth.randomness import generator
from robsynth.records.provenance import git_commit, machine, versions

OUT = Path(__file__).parents[2] / "results" / "benchmarks"
CORES = 2
WAYS: dict[str, Callable[[Any], Any]] = {"as it is": lambda network: network, "torch.compile": torch.compile}
# Those of the main job and of CIFAR-10 on two cores: architecture, widths, channels.
NETWORKS: list[tuple[str, list[int], int]] = [
    ("compact", [32, 64, 64, 128], 1),
    ("residual", [64, 192, 384], 3),
]
BALL, STEP_SIZE = L2(1.5), 1.5
STEPS = 10


def generation(network: Any, channels: int, batch: int, precision: str) -> Callable[[], None]:
    """A batch of images, `STEPS` uphill on a class's logit."""
    network.eval()
    start = torch.rand(batch, channels, 32, 32, generator=generator(0, "images"))
    wanted = torch.arange(batch) % 10

    def work() -> None:
        with frozen(network), arithmetic(precision, CPU):
            ascend(lambda x: towards(network(x), wanted), start, L2(30), STEPS, 0.1)

    return work


def training(network: Any, channels: int, batch: int, precision: str) -> Callable[[], None]:
    """A batch is attacked and learned."""
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.rand(batch, channels, 32, 32, generator=generator(0, "images"))
    labels = torch.arange(batch) % 10

    def work() -> None:
        optimiser.zero_grad()
        with arithmetic(precision, CPU):
            moved = attack(network, images, labels, BALL, 1, STEP_SIZE, "last", generator(0, "noise"))
            loss = cross_entropy(network(moved), labels)
        loss.backward()
        optimiser.step()

    return work


PARTS = {"training": training, "generation": generation}


def seconds_in_turn(works: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Of each way's first batch and of `repeats` more."""
    found: dict[str, list[float]] = {way: [] for way in works}
    for _ in range(repeats + 1):
        for way, work in works.items():
            begun = time.perf_counter()
            work()
            found[way].append(time.perf_counter() - begun)
    return found


def rows_of(
    network: Classifier, about: dict[str, Any], batch: int, repeats: int, precision: str
) -> list[dict[str, Any]]:
    rows = []
    for part, make in PARTS.items():
        torch.compiler.reset()
        works = {
            way: make(how(copy.deepcopy(network)), about["channels"], batch, precision) for way, how in WAYS.items()
        }
        for way, (first, *others) in seconds_in_turn(works, repeats).items():
            say(f"{about['arch']} {about['widths']}, {part}, {way}: {statistics.median(others):.3f} s a batch")
            rows.append({**about, "part": part, "way": way, "first": round(first, 4),
                         "seconds": [round(one, 4) for one in others]})  # fmt: skip
    return rows


def measure(networks: list[tuple[str, list[int], int]], batch: int, repeats: int) -> dict[str, Any]:
    """The record: seconds of every network, part and way, and where they were measured."""
    precision = resolve_machine("cpu", "auto").precision
    rows: list[dict[str, Any]] = []
    for arch, widths, channels in networks:
        grey = [0.5] * channels
        network = build_classifier(arch, widths, channels, 10, grey, grey)
        about = {"arch": arch, "widths": widths, "channels": channels}
        rows += rows_of(network, about, batch, repeats, precision)
    return {
        "benchmark": "compilation", "batch": batch, "commit": git_commit(), "versions": versions(),
        "machine": machine(resolve_machine("cpu", precision)), "rows": rows,
    }  # fmt: skip


def render(record: dict[str, Any]) -> str:
    """The record as a Markdown table: rates, their ratio, and when compiling has paid."""
    where, batch = record["machine"], record["batch"]
    lines = [
        f"Images per second as the network is and compiled, batches of {batch}, {where['precision']}, on "
        f"{where['threads']} threads of {where['processor']}, torch {record['versions']['torch']}: medians of "
        f"{len(record['rows'][0]['seconds'])} batches in turn. A training image is attacked once and learned once, a "
        f"generated one makes {STEPS} steps. Compiling has paid for itself after so many images, if ever.",
        "",
        "| network | part | as it is | compiled | ratio | compiling, s | pays after, images |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for plain, compiled in zip(record["rows"][::2], record["rows"][1::2], strict=True):
        before, after = (statistics.median(row["seconds"]) for row in (plain, compiled))
        extra = compiled["first"] - after
        pays = f"{batch * extra / (before - after):,.0f}" if after < before else "never"
        lines.append(
            f"| {plain['arch']} {plain['widths']} | {plain['part']} | {batch / before:,.1f} | {batch / after:,.1f} | "
            f"{before / after:.2f} | {extra:.0f} | {pays} |"
        )
    return "\n".join(lines) + "\n"


def main(
    out: Path = OUT, networks: list[tuple[str, list[int], int]] = NETWORKS, batch: int = 128, repeats: int = 7
) -> None:
    record = measure(networks, batch, repeats)
    write_json(out / "compilation.json", record)
    write_text(out / "compilation.md", render(record))
    print(json.dumps(record["rows"]))
    say(render(record))


if __name__ == "__main__":
    torch.set_num_threads(CORES)
    # What was compiled before, by anyone, would be found again.
    torch.compiler.config.force_disable_caches = True
    main()
