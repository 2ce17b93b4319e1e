"""What each command is: its configuration, the keys that it reads, examples and what it says on stdout."""

from dataclasses import dataclass, fields

from robsynth.config.fields import Contradictions, choice, number, setting
from robsynth.config.measuring import Curves, Metrics, SampleSettings, TrackerSettings
from robsynth.config.networks import Dataset, Network
from robsynth.config.sweeps import Launcher, Sweep
from robsynth.config.tasks import TASKS, TaskSettings
from robsynth.config.training import Adversary, Baseline, Judge, Recipe

OUT = "the directory of all that is written; outputs/NAME unless given"
TRAINERS = {"auto": (), "cpu": (), "gpu": (), "ddp": ("processes",), "multinode": ()}
# Trainers that are a device.
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


@dataclass
class Trainer:
    """The processes of a run; none of it changes a result."""

    name: str = choice(
        TRAINERS, default="auto", beside="optional",
        help="one process where device= says, on the CPU or a GPU; several on this machine; those of torchrun or srun",
    )  # fmt: skip
    processes: int | None = number(least=1, default=None, help="of ddp: one a GPU, or two on the CPU, unless given")
    threads: int | None = number(least=1, default=None, help="CPU threads of each process: its share of the cores")


@dataclass
class Basic:
    """What every command understands."""

    debug: bool = setting(False, help="whether a failure comes with its traceback")


@dataclass
class Common(Basic):
    """What every command with work to do understands."""

    out: str | None = setting(None, help=OUT)
    seed: int = setting(0, help="of everything that is random")
    force: bool = setting(False, help="whether to start anew where a run has been")
    device: str = choice(("auto", "cpu", "cuda"), default="auto", help="where it computes; auto: on a GPU if there is")
    precision: str = choice(("auto", "fp32", "tf32", "bf16"), default="auto", help="of networks; auto: fastest here")
    trainer: Trainer = setting(Trainer, help="the processes of a run, which change no result")
    plugins: list[str] = setting(list, help="modules to import, which register tasks, networks, ... of your own")

    def __post_init__(self) -> None:
        # Two words for one thing.
        if self.device == "auto":
            self.device = DEVICES.get(self.trainer.name, "auto")

    def contradictions(self) -> Contradictions:
        device = DEVICES.get(self.trainer.name, self.device)
        yield self.device != device, "device", f"but trainer={self.trainer.name}; allowed: auto, {device}"


@dataclass
class Config(Common):
    """`train`, `synthesize`, `reproduce` and `bundle`, each of which reads a part."""

    experiment: str | None = setting(None, group="experiment", help="mnist5k unless it or dataset= is given")
    scale: str = setting(group="scale", help="size of the work, and whose settings; the experiment's unless given")
    settings: str = setting(group="settings", help="of tasks, networks, training; dataset='s at scale= unless given")
    made_for: int | None = number(least=1, default=None, help="the only dataset.size that these settings' lengths fit")
    dataset: Dataset = setting(Dataset, help="the images")
    classifier: Network = setting(Network, help="the network")
    adversary: Adversary = setting(Adversary, help="what training is against")
    recipe: Recipe = setting(Recipe, help="how it is trained")
    judge: Judge = setting(Judge, help="a classifier that never saw an adversarial example, and judges")
    baseline: Baseline = setting(Baseline, help="the rival")
    tasks: dict[str, TaskSettings] = setting(
        lambda: {name: settings() for name, settings in TASKS.items()}, help="settings of each task"
    )
    select: list[str] = choice(TASKS, default=list(TASKS).copy, some=True, help="which tasks are run")
    originals: Dataset = setting(Dataset, group="dataset", help="another data set whose test images tasks start from")
    inputs: str | None = setting(None, help="a folder of your own images, which folders in it may sort by class")
    masks: str | None = setting(None, help="masks of the same names, white where an image may change")
    ensemble: list[str] = setting(list, help="further classifiers, whose logits are averaged with the first's")
    task: str = choice(TASKS, default="generation", help="which; task.KEY=VALUE is short for tasks.TASK.KEY=VALUE")
    samples: SampleSettings = setting(SampleSettings, help="how many images")
    metrics: Metrics = setting(Metrics, help="what is measured")
    curves: Curves = setting(Curves, help="generation along one setting")
    tracker: TrackerSettings = setting(TrackerSettings, help="where the run is logged besides its record")
    model: str = choice(("classifier", "baseline"), default="classifier", help="what to train")

    def contradictions(self) -> Contradictions:
        yield from super().contradictions()
        size, fit = self.dataset.size, self.made_for
        rule = f"for {fit} pixels; allowed: {fit}, or made_for={size or 'null'} with your own"
        yield fit not in (None, size), "dataset.size", f"but the lengths of settings={self.settings} are {rule}"
        unknown = fit is not None and self.originals.name != "none" and self.originals.size is None
        yield unknown, "originals.size", f"but settings={self.settings} go by it; allowed: a number"
        # A part would come twice in one step.
        parts = self.adversary.method == "free" and self.recipe.accumulate > 1
        yield parts, "recipe.accumulate", "allowed: 1, as free replays whole batches"


@dataclass
class EvaluateConfig(Common):
    """Samples against a data set, or against exported statistics of one; or a classifier on its test images."""

    samples: str | None = setting(
        None, help="a sample store, a folder of images, an .npz (arr_0 or images: uint8, n x H x W x C; labels in "
        "arr_1 or wanted), an .npy, or fidelity:NAME, an input of torch-fidelity's"
    )  # fmt: skip
    classifier: Network = setting(Network, help="instead of samples a classifier")
    norm: str | None = choice(("l2", "linf"), default=None, help="of the balls it is attacked in; else its training's")
    reference: Dataset = setting(Dataset, group="dataset", help="the data set")
    statistics: str | None = setting(None, help="instead a file of `robsynth statistics`, or an .npz with mu and sigma")
    judge: str | None = setting(None, help="a checkpoint, for the judge's score and the share of the wanted class")
    metrics: Metrics = setting(Metrics, help="what is measured")
    tracker: TrackerSettings = setting(TrackerSettings, help="where the run is logged besides its record")

    @property
    def has_classifier(self) -> bool:
        return self.classifier.checkpoint is not None or self.classifier.model is not None

    def contradictions(self) -> Contradictions:
        yield from super().contradictions()
        yield self.norm and not self.has_classifier, "norm", "but no classifier; allowed with checkpoint=FILE"
        for key in ("samples", "statistics", "judge"):
            both = self.has_classifier and getattr(self, key) is not None
            yield both, key, "but a classifier too; allowed: one or the other"


@dataclass
class StatisticsConfig(Common):
    """What FID needs of a data set, as a file."""

    reference: Dataset = setting(Dataset, group="dataset", help="the data set")
    protocol: str = setting("fid50k_train", help="of which split, how many of its images, with which extractor")
    metrics: Metrics = setting(Metrics, help="of these the weights")


@dataclass
class ReportConfig(Basic):
    """One record to render, or several to compare."""

    record: str | None = setting(None, help="a record.json or its directory; the newest below outputs/ unless given")
    records: list[str] | None = setting(None, some=True, help="several to compare; seeds become mean and deviation")
    out: str | None = setting(None, help="where; report/ beside the record unless given")
    readme: str | None = setting(None, help="a file to fill: <!-- figures: RECORD --> ... <!-- end of figures -->")


@dataclass
class RunsConfig(Basic):
    """Which of the runs to list, in which order, with which figures."""

    under: list[str] = setting(list, some=True, help="below which directories")
    command: str | None = setting(None, help="only this command's")
    experiment: str | None = setting(None, help="only this experiment's")
    dataset: str | None = setting(None, help="only on this data set")
    status: str | None = choice(("finished", "unfinished", "failed", "unreadable"), default=None, help="only these")
    where: str | None = setting(None, help="FIGURE<NUMBER,...; also <=, >, >= and =; all have to hold")
    sort: str = setting("finished", help="or a FIGURE; downwards with a minus before it")
    figures: list[str] = setting(list, help="which to show, [SUBJECT/]METRIC[/PROTOCOL]: the record's first that fits")
    compare: bool = setting(False, help="whether to list the settings and figures that differ")
    out: str | None = setting(None, help="with compare=true also the page that compares them, here")


@dataclass
class ConvertConfig(Basic):
    """A checkpoint of another library, the classifier that it is, and where to write it as one of ours."""

    out: str | None = setting(None, help="where; CHECKPOINT.safetensors unless given")
    classifier: Network = setting(Network, help="what it is")
    dataset: Dataset = setting(Dataset, help="whose classes it has")
    half: bool = setting(False, help="whether weights are kept in 16 bits, half the size")
    trust: bool = setting(False, help="execute the code in it, if you trust everyone who could have changed it")


@dataclass
class SweepConfig(Basic):
    """A sweep; every word of its command line that is no key of this is one for the jobs."""

    out: str | None = setting(None, help=OUT)
    force: bool = setting(False, help="whether to start anew where a sweep has been")
    sweep: Sweep = setting(Sweep, help="what is tried")
    launcher: Launcher = setting(Launcher, help="where the jobs run")


@dataclass(frozen=True)
class Command:
    """A command: what it does in a line, its configuration, and of it the keys that it reads, all unless given.

    `examples` are command lines without `robsynth COMMAND`, `stdout` the keys of the JSON object it says.
    """

    does: str
    config: type
    examples: tuple[str, ...]
    stdout: str
    reads: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return self.reads or tuple(item.name for item in fields(self.config))


COMMON_KEYS = (
    "out", "seed", "force", "debug", "device", "precision", "trainer", "plugins", "experiment", "scale", "settings",
    "made_for", "dataset",
)  # fmt: skip

COMMANDS = {
    "reproduce": Command(
        "an experiment from end to end; without arguments the embedded default, mnist5k", Config,
        ("scale=smoke out=/tmp/try", "experiment=inpainting checkpoint=RestrictedImageNet.pt --plan",
         "tasks.generation.steps=30 adversary.eps=2"),
        "experiment, run, record, report, figures",
        (*COMMON_KEYS, "select", "tasks", "classifier", "adversary", "recipe", "judge", "baseline", "samples",
         "metrics", "curves", "tracker", "originals", "ensemble"),
    ),
    "train": Command(
        "a robust classifier, or a baseline (model=baseline)", Config,
        ("dataset=cifar10 dataset.root=DIR recipe.epochs=5", "adversary=none classifier=residual out=/tmp/judge",
         "'metrics.attacks=[pgd20,pgd100x5,autoattack]' 'metrics.attack_eps=[0.5,1]'"),
        "checkpoint, clean_accuracy, robust_accuracy (the least), card, bundle, record, report; of a baseline "
        "checkpoint, card, record, report",
        (*COMMON_KEYS, "model", "classifier", "adversary", "recipe", "baseline", "metrics", "tracker", "tasks"),
    ),
    "synthesize": Command(
        "a task's images into a sample store", Config,
        ("classifier=cifar10_laptop samples.count=100",
         "task=inpainting classifier=cifar10_laptop inputs=photos masks=masks",
         "task=inpainting checkpoint=classifier.safetensors task.steps=60"),
        "samples, count, picture, page, record",
        (*COMMON_KEYS, "task", "tasks", "classifier", "ensemble", "samples", "originals", "inputs", "masks", "tracker"),
    ),
    "bundle": Command(
        "a trained classifier as one small file that paints without its data set", Config,
        ("checkpoint=classifier.safetensors dataset=cifar10 out=mine.safetensors", "experiment=cifar10_laptop"),
        "bundle, sha1, megabytes, card",
        ("out", "debug", "device", "plugins", "experiment", "scale", "settings", "made_for", "dataset", "classifier",
         "tasks"),
    ),
    "evaluate": Command(
        "samples of any origin, or a classifier, against a data set, under named protocols", EvaluateConfig,
        ("samples=/tmp/generated 'metrics.protocols=[fid_train2000,is_efficientnet_lite0]'",
         "samples=gan.npz statistics=cifar10_train.npz 'metrics.protocols=[fid50k_train]'",
         "checkpoint=cifar10_laptop reference=cifar10 'metrics.attacks=[pgd20,autoattack]'"),
        "figures (each metric, value, protocol), protocols, record, report",
    ),
    "statistics": Command(
        "a data set's reference statistics as a file, to measure against without it", StatisticsConfig,
        ("reference=cifar10 protocol=fid50k_train out=cifar10_train.npz", "protocol=fid_train_efficientnet_lite0"),
        "statistics, count, sha1, about",
    ),
    "report": Command(
        "tables and the HTML page from a record alone, or several records compared", ReportConfig,
        ("record=outputs/try", "records=[outputs/seed0,outputs/seed1,outputs/longer] out=outputs/compared"),
        "tables, latex, figures, page; of records page, tables, figures; if asked for also readme",
    ),
    "runs": Command(
        "the runs that are here: listed, filtered and compared by their records", RunsConfig,
        ("experiment=mnist5k 'where=generation/fid<150,judge_share>=0.9' sort=-judge_share",
         "under=[outputs] 'figures=[inpainting/psnr]' compare=true out=compared"),
        "runs (each run, command, experiment, dataset, seed, started, finished, status, stage, error, directory, "
        "figures); with compare=true settings, differences; with out page, tables",
    ),
    "convert": Command(
        "a checkpoint of the authors' library, or bare weights, into one of ours", ConvertConfig,
        ("checkpoint=cifar_l2_0_5.pt out=cifar_l2_0_5.safetensors", "checkpoint=w.pt classifier=resnet18 half=true"),
        "checkpoint, sha1, card",
    ),
    "sweep": Command(
        "many runs over settings, and one comparison: grid or Optuna, here, by Slurm or on Ray", SweepConfig,
        ("adversary.eps=0.5,1,2 scale=smoke", "sweep=inpainting_penalty launcher=joblib launcher.jobs=2",
         "sweep=tpe sweep.trials=30 'tasks.generation.step_size=tag(log,interval(0.05,1))'"),
        "sweep, directory, record, report, best, importance, jobs",
    ),
    "doctor": Command(
        "what is here, and what to do about what is missing", Basic, ("",), "what it found: devices, data, ...",
    ),
}  # fmt: skip
