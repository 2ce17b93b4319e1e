from dataclasses import replace
from pathlib import Path
from typing import Any

from robsynth.baselines.generator import KIND
from robsynth.classifiers import is_safetensors, read_checkpoint
from robsynth.config.commands import Config
from robsynth.errors import RequestError
from robsynth.files import write_text
from robsynth.lab.context import Context, Result, open_context
from robsynth.lab.pictures import COLUMNS, ROWS, save_png, store_grid
from robsynth.lab.runner import Cost, Stage, run_stages
from robsynth.lab.stages.painting import named_checkpoint, sample_rival, studio_of, synthesize
from robsynth.records.record import Record
from robsynth.reports.formats import filled
from robsynth.samples import SampleStore, load_samples
from robsynth.tasks import ClassGaussians

PICTURE, PAGE = "picture.png", "index.html"


def run(config: Config) -> dict[str, Any]:
    """A task's images into a sample store, with a picture of the first, and a record."""
    # Of the tasks' settings the others' change nothing.
    config = replace(config, tasks={config.task: config.tasks[config.task]}, select=[config.task])
    context = open_context("synthesize", config)
    if _generator(context) is None:
        # Refuses what cannot be made before anything is written; and what images start from is part of the request.
        made = studio_of(context).synthesis(config.task, config.tasks[config.task])
        if made.originals is not None:
            context.depends["data"] = made.originals.images.fingerprint
        elif isinstance(made.seeds, ClassGaussians):
            context.depends["data"] = made.seeds.images.fingerprint
    return run_stages(context, stages(context), answer, lambda directory: {"page": directory / PAGE})


def stages(context: Context) -> list[Stage]:
    task, generator = context.config.task, _generator(context)
    name = "synthesize generation"
    made = synthesize(context, task) if generator is None else sample_rival(context, generator, name)
    return [made, Stage("picture", _draw, lambda context: Cost("a grid"), (made.name,), alone=True)]


def _generator(context: Context) -> Path | None:
    """The checkpoint, if it is a GAN's."""
    checkpoint, task = named_checkpoint(context), context.config.task
    if checkpoint is None or not is_safetensors(checkpoint) or read_checkpoint(checkpoint)[0] != KIND:
        return None
    if task != "generation":
        raise RequestError(f"checkpoint: {checkpoint} holds a {KIND} generator; {task} needs a classifier")
    return checkpoint


def _draw(context: Context) -> Result:
    """A picture of the first images, a page around it, and what a record says of the data."""
    store, task = SampleStore.open(context.directory), context.config.task
    about, names = store.manifest, store.manifest["label_names"]
    found = load_samples(store.directory, most=COLUMNS * min(len(names), ROWS))
    save_png(store.directory / PICTURE, store_grid(found, task))
    assert found.wanted is not None
    original = ["original"] if found.original is not None else []
    rows = [names[i] for i in sorted(set(found.wanted.tolist()))][:ROWS]
    rows = rows if task == "generation" else ["input", "result", *original]
    facts: dict[str, Any] = {
        key: about[key] for key in ("task", "dataset", "settings", "checkpoint", "seed") if key in about
    }
    title = f"{store.count} images of {task.replace('_', ' ')}"
    page = {"title": title, "picture": (store.directory / PICTURE).read_bytes(), "rows": rows, "facts": facts}
    write_text(store.directory / PAGE, filled("gallery.html.j2", **page))
    source = about.get("originals") or "painted from a classifier or generator alone"
    data = {"name": about["dataset"], "source": source, "fingerprint": "none", "checkpoint": about["checkpoint"],
            "label_names": names}  # fmt: skip
    picture = {"name": task, "file": PICTURE, "caption": f"{title}; rows: {', '.join(rows)}"}
    return {"files": [PICTURE, PAGE], "pictures": [picture], "data": data}


def answer(context: Context, record: Record, written: dict[str, str]) -> dict[str, Any]:
    directory = context.directory
    count = context.results[f"synthesize {context.config.task}"]["count"]
    return {"samples": str(directory), "count": count, "picture": str(directory / PICTURE), "page": written["page"],
            "record": written["record"]}  # fmt: skip
