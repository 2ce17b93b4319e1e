"""An experiment from end to end."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from robsynth import processes
from robsynth.classifiers import find_checkpoint, load_classifier
from robsynth.config import Adversary, Config
from robsynth.data import DataSet, load_data
from robsynth.files import shown
from robsynth.lab import pictures
from robsynth.lab.cards import describe_training
from robsynth.lab.drawing import Drawn, extreme_cases, generation_pictures, task_pictures
from robsynth.lab.measuring import DataSamples, as_result, curve_points, open_evaluation, studio_at, task_figures
from robsynth.lab.run import Run, inputs_of, now
from robsynth.lab.sweeps.trial import open_trial
from robsynth.lab.synthesis import Studio, open_studio, sample_generator, synthesize
from robsynth.lab.trackers import Tracking
from robsynth.metrics.accuracy import check_classes, measure_accuracy, trained_for
from robsynth.metrics.evaluate import Evaluation
from robsynth.metrics.robustness import open_attacks
from robsynth.records.figures import Figure
from robsynth.records.provenance import git_commit, machine, versions
from robsynth.records.record import Record
from robsynth.samples import Samples, SampleStore, open_samples

REAL, RIVAL = "real held-out images", "wgan_gp"
# What a training's network is called in figures, where it is not the training's name.
SUBJECTS = {"classifier": "robust classifier"}
STANDARD = Adversary(norm="none", eps=0, steps=1, step_size=1)


@dataclass
class Reproduction:
    """The stages of an experiment; every method is one or more, and is done once in a run's life."""

    config: Config
    run: Run
    data: DataSet
    device: torch.device
    precision: str
    tracking: Tracking

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
        # Lightning takes seconds to import.
        from robsynth.lab.training import train_baseline, train_classifier

        c, where = self.config, (self.config.seed, self.device, self.precision, self.tracking)
        train = partial(train_classifier, self.run, data=self.data, settings=c.dataset, seed=c.seed,
                        device=self.device, precision=self.precision, tracking=self.tracking)  # fmt: skip
        if self.trains:
            self._stage_training("classifier", partial(train, "classifier", c.classifier, c.adversary, c.recipe))
        if self.has_judge and c.judge.checkpoint is None:
            self._stage_training("judge", partial(train, "judge", c.judge.network, STANDARD, c.judge.recipe))
        if self.has_rival:
            rival = partial(train_baseline, self.run, c.baseline, self.data, *where)
            self._stage_training(RIVAL, rival, alone=True)

    def _stage_training(self, name: str, work: Callable[[], dict[str, Any]], alone: bool = False) -> None:
        self.trained[name] = self.run.stage(f"train {name}", work, alone)
        self.tracking.history(name, self.trained[name]["history"])

    def _checkpoint(self, name: str) -> Path:
        return self.run.directory / self.trained[name]["checkpoint"]

    @property
    def judge(self) -> Path | None:
        """The judge's file, trained here or given."""
        if not self.has_judge:
            return None
        given = self.config.judge.checkpoint
        return self._checkpoint("judge") if given is None else find_checkpoint(given, "judge.checkpoint")

    @cached_property
    def studio(self) -> Studio:
        checkpoint = self._checkpoint("classifier") if self.trains else None
        return open_studio(self.config, self.device, self.precision, lambda: self.data, checkpoint)

    def measure_accuracies(self) -> None:
        """Clean and robust accuracies of the classifier and of the judge."""
        c, threat = self.config, trained_for(self.config.adversary, self.config.metrics)

        def work() -> dict[str, Any]:
            subjects = {"robust classifier": (self.studio.network, self.studio.about)}
            if self.judge is not None:
                subjects["judge"] = load_classifier(self.judge, "judge.checkpoint")
            figures: list[Figure] = []
            warnings: list[str] = []
            for subject, (network, about) in subjects.items():
                check_classes(about, self.data)
                kept = self.run.directory / "accuracy" / subject.replace(" ", "_")
                found, odd = measure_accuracy(subject, network, self.data, threat, c.metrics, c.seed, self.device, kept)
                figures, warnings = figures + found, warnings + odd
            return as_result(figures, warnings)

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
            stage(f"synthesize {task}", partial(self._synthesize, task, directory / task))
        for point in curve_points(c):
            at = studio_at(self.studio, point)
            stage(f"synthesize at {_said(point)}", partial(synthesize, at, "generation", directory / _said(point)))
        if self.has_rival:
            rival = partial(
                sample_generator, self._checkpoint(RIVAL), self.data, directory / RIVAL, c.samples.count,
                c.samples.batch_size, c.seed, self.device,
            )  # fmt: skip
            stage(f"sample {RIVAL}", rival)

    def _synthesize(self, task: str, directory: Path) -> SampleStore:
        """A task's images, of which the sweep that this run may be a trial of sees the first ones early."""

        def show(store: SampleStore) -> None:
            open_trial().images(task, store, lambda first: self.evaluation.at({"images": len(first)}, task, first))

        store = synthesize(self.studio, task, directory, on_shard=show)
        # Once more for those that a killed run left without a word.
        processes.once(lambda: show(store))
        return store

    def opened(self, name: str) -> Samples:
        return open_samples(self.run.directory / "samples" / name)

    @cached_property
    def evaluation(self) -> Evaluation:
        c = self.config
        return open_evaluation(c.metrics, self.device, self.precision, self.data, judge=self.judge)

    def measure(self) -> None:
        """Every figure of every set of images, and of what each task was given."""
        c = self.config
        for task in c.select:
            self._stage_measure(task, partial(self._task_figures, task))
        for point in curve_points(c):
            self._stage_measure(f"at {_said(point)}", partial(self._figures_at, point))
        if self.has_rival:
            self._stage_measure(RIVAL, lambda: self.evaluation.measure(RIVAL, self.opened(RIVAL)))
        self._stage_measure(REAL, lambda: self.evaluation.measure(REAL, self.held_out))

    def _task_figures(self, task: str) -> list[Figure]:
        return task_figures(self.evaluation, task, self.opened(task), self.config.tasks[task])

    def _figures_at(self, point: dict[str, Any]) -> list[Figure]:
        return self.evaluation.at(point, "generation", self.opened(_said(point)))

    def _stage_measure(self, subject: str, measure: Callable[[], list[Figure]]) -> None:
        def work() -> dict[str, Any]:
            figures = measure()
            warnings, self.evaluation.warnings = self.evaluation.warnings, []
            return as_result(figures, warnings)

        self.run.stage(f"measure {subject}", work)

    @property
    def held_out(self) -> Samples:
        return DataSamples(REAL, self.data.test, self.config.samples.count)

    def draw(self) -> list[dict[str, str]]:
        """The pictures of the run, which the record names."""
        return self.run.stage("pictures", self._draw, alone=True)["pictures"]

    def _draw(self) -> dict[str, Any]:
        classes = len(self.data.label_names)
        listed = []
        for name, caption, canvas in self._drawn(classes):
            file = f"pictures/{name}.png"
            pictures.save_png(self.run.directory / file, canvas)
            listed.append({"name": name, "file": file, "caption": caption})
        self.evaluation.warnings.clear()
        return {"pictures": listed, "files": [picture["file"] for picture in listed]}

    def _drawn(self, classes: int) -> Iterator[Drawn]:
        for task in self.config.select:
            samples = self.opened(task)
            if task == "generation":
                yield from generation_pictures(samples, self.studio.synthesis(task), self.evaluation, classes)
            else:
                yield from task_pictures(task, samples)
            yield from extreme_cases(task, samples, self.evaluation)
        first = pictures.COLUMNS * classes
        if self.has_rival:
            grid = pictures.classes_grid(self.opened(RIVAL).first(first))
            yield RIVAL, "The rival's images (conditional WGAN-GP), a row a class", grid
        yield "real", "Real held-out images, a row a class", pictures.classes_grid(self.held_out.first(first))

    def describe(self) -> None:
        """A model card beside each checkpoint that this run trained."""

        def work() -> dict[str, Any]:
            record = self.record([])
            cards = [
                describe_training(record, name, SUBJECTS.get(name, name), self._checkpoint(name))
                for name in self.trained
            ]
            return {"files": [self.run.relative(file) for files in cards for file in files]}

        if self.trained:
            self.run.stage("model cards", work, alone=True)

    def record(self, listed: list[dict[str, str]]) -> Record:
        """All of the above as one record."""
        history = {name: result["history"] for name, result in self.trained.items()}
        if not self.trains and (training := self.studio.about.get("training")):
            history = {"classifier": training["history"], **history}
        return make_record(self.run, "reproduce", self.config, self.data, self.device, self.precision, history, listed)


def _said(point: dict[str, float]) -> str:
    """A setting as words of a stage's and of a directory's name."""
    return "_".join(f"{key}_{value:g}" for key, value in point.items())


def about_data(data: DataSet) -> dict[str, Any]:
    """What a record says of a data set."""
    return {
        "name": data.name,
        "source": data.source,
        "fingerprint": data.fingerprint,
        "train": len(data.train),
        "test": len(data.test),
        "label_names": list(data.label_names),
    }


def make_record(
    run: Run, command: str, config: Any, data: DataSet | dict[str, Any], device: torch.device, precision: str,
    history: dict[str, Any], listed: list[dict[str, str]],
) -> Record:  # fmt: skip
    """The record of a run from what its stages left; `data` is a data set, or what is known of one."""
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
        config={**asdict(config), "out": config.out and shown(Path(config.out))},
        data=data if isinstance(data, dict) else about_data(data),
        stages=[{key: value for key, value in stage.items() if key != "result"} for stage in run.stages],
        figures=[figure for result in results for figure in result.get("figures", [])],
        protocols={name: details for result in results for name, details in result.get("protocols", {}).items()},
        history=history,
        pictures=listed,
        warnings=[warning for result in results for warning in result.get("warnings", [])],
    )


def open_reproduction(config: Config, device: torch.device, precision: str) -> Reproduction:
    open_attacks(config.metrics.attacks)
    data = processes.first_then_others(lambda: load_data(config.dataset))
    run = Run("reproduce", config, inputs_of(config, data, device, precision))
    return Reproduction(config, run, data, device, precision, run.tracking(config))
