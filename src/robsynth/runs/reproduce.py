"""An experiment from end to end."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from robsynth.classifiers import find_checkpoint, load_classifier
from robsynth.config import Adversary, Config
from robsynth.data import DataSet, load_data
from robsynth.files import file_sha1
from robsynth.metrics.evaluate import Evaluation, Judge
from robsynth.metrics.figures import Figure
from robsynth.metrics.inception import Inception, find_weights
from robsynth.records.provenance import git_commit, machine, versions
from robsynth.records.record import Record
from robsynth.runs import pictures
from robsynth.runs.run import Run, now
from robsynth.runs.synthesis import Studio, open_studio, sample_generator, synthesize
from robsynth.runs.training import check_classes, measure_accuracy, train_baseline, train_classifier
from robsynth.samples import SampleSet, SampleStore, load_samples

REAL, SEEDS, RIVAL = "real held-out images", "Gaussian seeds", "wgan_gp"
STANDARD = Adversary(norm="none", eps=0, steps=1, step_size=1)


@dataclass
class Reproduction:
    """The stages of an experiment; every method is one or more, and is done once in a run's life."""

    config: Config
    run: Run
    data: DataSet
    device: torch.device
    precision: str

    trained: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def has_judge(self) -> bool:
        return self.config.judge.name != "none"

    @property
    def has_rival(self) -> bool:
        return self.config.baseline.name != "none"

    @property
    def trains(self) -> bool:
        """Whether the classifier is trained here; otherwise its settings say where it comes from."""
        return self.config.classifier.checkpoint is None and self.config.classifier.model is None

    def train(self) -> None:
        """The robust classifier, the judge (which never sees an adversarial example), and the rival."""
        c, where = self.config, (self.config.seed, self.device, self.precision)
        train = partial(train_classifier, self.run, data=self.data, settings=c.dataset, seed=c.seed,
                        device=self.device, precision=self.precision)  # fmt: skip
        if self.trains:
            self._stage_training("classifier", partial(train, "classifier", c.classifier, c.adversary, c.recipe))
        if self.has_judge:
            self._stage_training("judge", partial(train, "judge", c.judge.network, STANDARD, c.judge.recipe))
        if self.has_rival:
            self._stage_training(RIVAL, lambda: train_baseline(self.run, c.baseline, self.data, *where))

    def _stage_training(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        self.trained[name] = self.run.stage(f"train {name}", work)

    def _checkpoint(self, name: str) -> Path:
        return self.run.directory / self.trained[name]["checkpoint"]

    @cached_property
    def studio(self) -> Studio:
        checkpoint = self._checkpoint("classifier") if self.trains else None
        return open_studio(self.config, self.device, self.precision, lambda: self.data, checkpoint)

    def measure_accuracies(self) -> None:
        """Clean and robust accuracy of the classifier and of the judge, at the training eps."""
        c = self.config

        def work() -> dict[str, Any]:
            subjects = {"robust classifier": (self.studio.network, self.studio.about)}
            if self.has_judge:
                subjects["judge"] = load_classifier(self._checkpoint("judge"))
            figures: list[Figure] = []
            for subject, (network, about) in subjects.items():
                check_classes(about, self.data)
                figures += measure_accuracy(subject, network, self.data, c.adversary, c.metrics, c.seed, self.device)
            return as_result(figures)

        self.run.stage("accuracy", work)

    def synthesize(self) -> None:
        """The images of every task, and the rival's."""
        c, directory = self.config, self.run.directory / "samples"

        def stage(name: str, work: Callable[[], SampleStore]) -> None:
            def files() -> dict[str, Any]:
                store = work()
                return {"files": [self.run.relative(store.path(shard)) for shard in range(len(store.shards))]}

            self.run.stage(name, files)

        for task in c.select:
            stage(f"synthesize {task}", partial(synthesize, self.studio, task, directory / task))
        if self.has_rival:
            rival = partial(
                sample_generator, self._checkpoint(RIVAL), self.data, directory / RIVAL, c.samples.count,
                c.samples.batch_size, c.seed, self.device,
            )  # fmt: skip
            stage(f"sample {RIVAL}", rival)

    def samples(self, name: str, most: int | None = None) -> SampleSet:
        return load_samples(self.run.directory / "samples" / name, most=most)

    @cached_property
    def evaluation(self) -> Evaluation:
        c = self.config
        judge = self._checkpoint("judge") if self.has_judge else None
        return make_evaluation(c.metrics, self.data, judge, c.seed, self.device, self.precision)

    def measure(self) -> None:
        """Every figure of every set of images, and of what each task was given."""
        for task in self.config.select:
            self._stage_measure(task, lambda task=task: self._task_figures(task))
        if self.has_rival:
            self._stage_measure(RIVAL, lambda: self.evaluation.measure(RIVAL, self.samples(RIVAL)))
        self._stage_measure(REAL, lambda: self.evaluation.measure(REAL, self._real()))

    def _stage_measure(self, subject: str, measure: Any) -> None:
        self.run.stage(f"measure {subject}", lambda: as_result(measure()))

    def _task_figures(self, task: str) -> list[Figure]:
        found, evaluation = self.samples(task), self.evaluation
        assert found.start is not None
        figures = evaluation.measure(task, found)
        if task == "generation":
            return figures + evaluation.measure(SEEDS, SampleSet(found.start, found.wanted))
        untouched = f"{task}: untouched input"
        figures += evaluation.judged(untouched, found.start, found.wanted)
        return figures + evaluation.compared(untouched, found.start, found.original)

    def _real(self) -> SampleSet:
        count = min(self.config.samples.count, len(self.data.test))
        images = self.data.test.pixels(range(count)).permute(0, 2, 3, 1).contiguous().numpy()
        return SampleSet(images, self.data.test.labels[:count].numpy())

    def draw(self) -> list[dict[str, str]]:
        """The pictures: a grid of each set, and images along their ascent."""
        return self.run.stage("pictures", self._draw)["pictures"]

    def _draw(self) -> dict[str, Any]:
        most = pictures.COLUMNS * len(self.data.label_names)
        drawn: list[tuple[str, str, Any]] = []
        if "generation" in self.config.select:
            grid = pictures.classes_grid(self.samples("generation", most))
            drawn.append(("generation", "Generated images, a row a class", grid))
            strips = pictures.ascent_strips(self.studio.synthesis("generation"))
            drawn.append(("ascent", "From the Gaussian seed to the image: steps of one ascent in each row", strips))
        for task in self.config.select:
            if task != "generation":
                found = self.samples(task, most)
                rows = "input, result" + (", original" if found.original is not None else "")
                title = task.replace("_", "-").capitalize()
                drawn.append((task, f"{title}; rows: {rows}", pictures.task_grid(found)))
        if self.has_rival:
            grid = pictures.classes_grid(self.samples(RIVAL, most))
            drawn.append((RIVAL, "The rival's images (conditional WGAN-GP), a row a class", grid))
        drawn.append(("real", "Real held-out images, a row a class", pictures.classes_grid(self._real())))
        for name, _, canvas in drawn:
            pictures.save_png(self.run.directory / "pictures" / f"{name}.png", canvas)
        listed = [{"name": name, "file": f"pictures/{name}.png", "caption": caption} for name, caption, _ in drawn]
        return {"pictures": listed, "files": [picture["file"] for picture in listed]}

    def record(self, listed: list[dict[str, str]]) -> Record:
        """All of the above as one record."""
        history = {name: result["history"] for name, result in self.trained.items()}
        if not self.trains and (training := self.studio.about.get("training")):
            history = {"classifier": training["history"], **history}
        return make_record(self.run, "reproduce", self.config, self.data, self.device, self.precision, history, listed)


def make_evaluation(
    settings: Any, data: DataSet, judge: Path | None, seed: int, device: torch.device, precision: str
) -> Evaluation:
    """An evaluation against the split of `data` that the settings name."""
    extractor = Inception(find_weights(settings.inception_weights), precision, device)
    reference = data.train if settings.split == "train" else data.test
    return Evaluation(settings, extractor, reference, load_judge(judge) if judge else None, seed, device)


def load_judge(path: Path) -> Judge:
    network, about = load_classifier(path, "judge")
    return Judge(network, file_sha1(path)[:12], tuple(about["label_names"]))


def as_result(figures: list[Figure]) -> dict[str, Any]:
    """Figures as a stage keeps them."""
    return {
        "figures": [figure.as_dict() for figure in figures],
        "protocols": {figure.protocol.name: figure.protocol.details for figure in figures},
    }


def make_record(
    run: Run, command: str, config: Any, data: DataSet, device: torch.device, precision: str,
    history: dict[str, Any], listed: list[dict[str, str]],
) -> Record:  # fmt: skip
    """The record of a run from what its stages left."""
    results = [stage["result"] for stage in run.stages]
    return Record(
        run=run.name,
        command=command,
        experiment=getattr(config, "experiment", None),
        scale=getattr(config, "scale", None),
        started=run.started,
        finished=max((stage["finished"] for stage in run.stages), default=now()),
        seed=config.seed,
        commit=git_commit(),
        versions=versions(),
        machine=machine(device.type, precision),
        config=asdict(config),
        data={
            "name": data.name,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "train": len(data.train),
            "test": len(data.test),
            "label_names": list(data.label_names),
        },
        stages=[{key: value for key, value in stage.items() if key != "result"} for stage in run.stages],
        figures=[figure for result in results for figure in result.get("figures", [])],
        protocols={name: details for result in results for name, details in result.get("protocols", {}).items()},
        history=history,
        pictures=listed,
    )


def open_reproduction(config: Config, device: torch.device, precision: str) -> Reproduction:
    data = load_data(config.dataset)
    named = config.classifier.checkpoint
    extra = {"precision": precision, "device": device.type, "data": data.fingerprint}
    if named:
        extra["classifier"] = file_sha1(find_checkpoint(named))
    return Reproduction(config, Run("reproduce", config, extra), data, device, precision)
