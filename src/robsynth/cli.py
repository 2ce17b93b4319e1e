"""The command line: `robsynth COMMAND [KEY=VALUE ...]`.

stdout is for machines (one JSON object, the last line), stderr for people. Nothing heavy is imported before a
command needs it.
"""

import importlib
import json
import signal
import sys
import traceback
from typing import Any

TERMINATED = 128 + signal.SIGTERM
COMMANDS = {
    "reproduce": "an experiment from end to end; without arguments the embedded default, mnist5k",
    "train": "a robust classifier, or a baseline (model=baseline)",
    "synthesize": "a task's images into a sample store",
    "bundle": "a trained classifier as one small file that paints without its data set",
    "evaluate": "samples of any origin, or a classifier, against a data set, under named protocols",
    "statistics": "a data set's reference statistics as a file, to measure against without it",
    "report": "tables and the HTML page from a record alone",
    "runs": "the runs that are here: listed, filtered and compared by their records",
    "convert": "a checkpoint of the authors' library, or bare weights, into one of ours",
    "sweep": "many runs over settings, and one comparison: grid or Optuna, here, by Slurm or on Ray",
    "doctor": "what is here, and what to do about what is missing",
}

USAGE = """\
usage: robsynth COMMAND [KEY=VALUE ...]

Image synthesis with a single robust classifier: reproduce, measure and extend.

commands:
{commands}

  robsynth COMMAND --help     the keys of a command, with examples
  robsynth COMMAND --cfg      the configuration that KEY=VALUE ... compose to, without running it
  robsynth reproduce --plan   what it would do: stages, steps, memory and time, without doing it
  robsynth --version
"""

HELP = {
    "reproduce": """\
usage: robsynth reproduce [KEY=VALUE ...]

Trains a robust classifier (unless one is given), a judge and a GAN where the experiment has them, runs its tasks,
measures, records and reports. Started again it goes on where it was; what is finished is not done again.

  experiment=mnist5k          which experiment (a file in conf/experiment; experiments/README.md)
  scale=laptop|paper|smoke    size of the work (the experiment's own unless given)
  checkpoint=FILE             a trained classifier: ours, the authors', or the name of one that ships with robsynth
  select=[TASK,...]           which tasks
  out=DIR                     where (outputs/EXPERIMENT-SCALE-... unless given)
  force=true                  start anew
  seed=0  device=auto|cpu|cuda  precision=auto|fp32|bf16  debug=true
  trainer=auto|cpu|gpu|ddp|multinode  one process, several here, or torchrun's or srun's; trainer.processes= .threads=
  tracker=wandb|tensorboard|csv|none  tracker.mode=auto|offline|online tracker.project= tracker.group= (W&B's)
  dataset= classifier= adversary= recipe.KEY= judge.KEY= baseline.KEY= tasks.TASK.KEY= samples.KEY= metrics.KEY=
  dataset.validation=N        the last N training images in the place of the test images, to choose settings on
  judge.checkpoint=FILE       a trained judge
  curves.steps=[..] curves.eps=[..]  generation measured along these, with curves.count images each

examples:
  robsynth reproduce
  robsynth reproduce scale=smoke out=/tmp/try
  robsynth reproduce experiment=cifar10_laptop dataset.root=DIR
  robsynth reproduce experiment=inpainting checkpoint=RestrictedImageNet.pt
  robsynth reproduce experiment=inpainting --plan
  robsynth reproduce tasks.generation.steps=30 adversary.eps=2

stdout: {"experiment", "run", "record", "report", "figures"}
""",
    "train": """\
usage: robsynth train [KEY=VALUE ...]

Trains a classifier, adversarially unless adversary=none, or the rival, and measures it. Started again it goes on
where it was.

  model=classifier|baseline   what to train
  dataset=mnist5k             on what: dataset=cifar10 dataset.root=DIR dataset.size= dataset.classes=[...] (see doctor)
  classifier=compact|residual|resnet18|resnet50|resnet18_cifar|resnet50_cifar|wide_resnet
                              classifier.widths=[32,64,64,128]
  adversary=l2|linf|none|single_step|free|trades|paper_...  adversary.eps= adversary.steps= adversary.step_size=
                              adversary.random_start= adversary.keep=best|last; free: adversary.replays=, trades:
                              adversary.beta=
  recipe=one_cycle|laptop|paper_...  recipe.start=FILE (weights to begin from)
  recipe.epochs= recipe.batch_size= recipe.accumulate= recipe.learning_rate= recipe.schedule=one_cycle|steps
                              recipe.ema= recipe.label_smoothing= recipe.augment.KEY= recipe.workers=
  recipe.held_out=500         training images that choose the epoch by robust accuracy; with 0 the last is kept
  recipe.save_every=STEPS     a checkpoint to go on from also within an epoch
  baseline.KEY= tracker=wandb|tensorboard|csv|none
  metrics.attacks=[pgd20,pgd100x5,autoattack]  what it has to withstand at the end: PGD of so many steps, from so many
                              starts, and AutoAttack (pip install 'robsynth[attacks]'), on metrics.accuracy_count images
  metrics.attack_eps=[0.5,1]  radii of a robustness curve, beside the adversary's own
  out=DIR  force=true  seed=0  device=auto|cpu|cuda  precision=auto|fp32|bf16  debug=true
  trainer=auto|cpu|gpu|ddp|multinode  one process, several here, or torchrun's or srun's; trainer.processes= .threads=

examples:
  robsynth train dataset=mnist5k
  robsynth train adversary=none classifier=residual out=/tmp/judge

stdout: {"checkpoint", "clean_accuracy", "robust_accuracy" (the least), "card", "bundle", "record",
        "report"} ({"checkpoint", "card", "record", "report"} for a baseline)
""",
    "synthesize": """\
usage: robsynth synthesize checkpoint=FILE [KEY=VALUE ...]

Makes a task's images. Started again it goes on where it was.

  checkpoint=FILE             a classifier of `robsynth train` or `reproduce`, or for generation a GAN's; one of the
                              authors' (with classifier=resnet50 or the like)
  classifier=cifar10_laptop|restricted_imagenet_laptop|cats_vs_dogs_laptop
                              one that ships with robsynth, with its seeds: generation needs no data set
  classifier=timm|torchvision|robustbench  classifier.model=NAME: somebody else's (pip install 'robsynth[zoo]')
  ensemble=[FILE,...]         further classifiers, whose logits are averaged with the first's
  inputs=DIR                  one's own images to work on, instead of the data set's; a folder in it that is called like
                              a class says what its images show, else the classifier says
  masks=DIR                   masks of the same names, white where an image may change
  originals=NAME              another data set whose test images are worked on
  task=generation|inpainting|translation|super_resolution|sketch_to_image|feature_painting
  task.KEY=VALUE              its settings: task.steps= task.step_size= task.eps= task.norm= task.keep=best|last
                              task.objective=cross_entropy|logit task.target=CLASS task.noise= and its own (see --cfg)
                              task.stages=[{mask:PATH,unit:K},{mask:PATH,target:CLASS}]: painting, one after the other
  samples.count=500           how many images
  samples.batch_size=100      how many at a time; does not change the images
  out=DIR                     where (outputs/samples-... unless given)
  tracker=wandb|tensorboard|csv|none
  force=true  seed=0  dataset=mnist5k  device=auto|cpu|cuda  precision=auto|fp32|bf16  debug=true
  trainer=auto|cpu|gpu|ddp|multinode  one process, several here, or torchrun's or srun's; trainer.processes= .threads=

examples:
  robsynth synthesize classifier=cifar10_laptop samples.count=100
  robsynth synthesize task=inpainting classifier=cifar10_laptop inputs=photos masks=masks
  robsynth synthesize task=inpainting checkpoint=classifier.safetensors samples.count=100 out=/tmp/inpainted

stdout: {"samples", "count", "picture", "page", "record"}
""",
    "bundle": """\
usage: robsynth bundle checkpoint=FILE out=FILE [KEY=VALUE ...]

Puts a trained classifier into one small file with all that synthesis needs of its data: weights in half precision,
label names, normalisation, the record of its training, and the seeds that generation starts from.

  checkpoint=FILE             a classifier of `robsynth train` or `reproduce`, or of the authors' library
  dataset=NAME                the data set it was trained on, from which the seeds are fitted
  tasks.generation.pool= tasks.generation.rank= tasks.generation.fit=train|test
                              the seeds: averaged over how many pixels, of which rank, from which split
  out=FILE                    NAME.safetensors
  debug=true

example:
  robsynth bundle dataset=cifar10 checkpoint=runs/robust/classifier/classifier.safetensors out=cifar10.safetensors

stdout: {"bundle", "sha1", "megabytes", "card"}
""",
    "evaluate": """\
usage: robsynth evaluate samples=PATH [KEY=VALUE ...]
       robsynth evaluate checkpoint=FILE [KEY=VALUE ...]

Measures images of any origin against a data set, under named protocols; or a classifier on a data set's test images,
clean and under attack. What was measured before is not measured again.

  samples=PATH                a sample store, a folder of images, an .npz (arr_0 or images: uint8, n x H x W x C;
                              labels in arr_1 or wanted), an .npy, or fidelity:NAME, an input of torch-fidelity's
  reference=mnist5k           the data set; reference.root=DIR says where it is
  statistics=FILE             instead of it, a file of `robsynth statistics` or any .npz with mu and sigma (FID alone)
  metrics=default|standard    for some hundred images on a laptop, or what papers report of 50,000
  metrics.protocols=[NAME,...]  METRIC[COUNT][_SPLIT[COUNT]]... with METRIC one of fid, fid_infinity, class_fid, kid,
                              is, precision_recall, density_coverage, memorised; then _SUBSETSxSIZE, _Nsplits, _kN,
                              _clean or _torchmetrics (resizes), _EXTRACTOR, _bf16 or _fast: fid50k_train, fid10k_test,
                              is50k, kid, precision_recall, fid50k_train_clean, is_efficientnet_lite0, fid_train_dinov2
  metrics.resamples=200       bootstrap resamples of an interval; 0 for none
  metrics.inception_weights=FILE|download  Inception weights with the final layer, for the Inception Score
  metrics.plugins=[MODULE]    modules that register extractors of your own
  judge=FILE                  a classifier's checkpoint, for the judge's score and the share of the wanted class
  checkpoint=FILE             instead of samples a classifier: ours, the authors' (with classifier=resnet50_cifar or the
                              like), or one that ships with robsynth; classifier=timm|torchvision|robustbench
                              classifier.model=NAME: somebody else's
  metrics.attacks=[NAME,...]  pgdSTEPS, pgdSTEPSxRESTARTS, autoattack (pip install 'robsynth[attacks]')
  norm=l2|linf  metrics.attack_eps=[0.5,1]  the balls, and with several a curve; unless given the one of its training
  metrics.accuracy_count=1000  the first so many test images; all unless given
  tracker=wandb|tensorboard|csv|none
  out=DIR                     where record and report go (outputs/evaluate-... unless given)
  force=true  seed=0  device=auto|cpu|cuda  precision=auto|fp32|bf16  debug=true
  trainer=auto|cpu|gpu|ddp|multinode  one process, several here, or torchrun's or srun's; trainer.processes= .threads=

examples:
  robsynth evaluate samples=/tmp/generated 'metrics.protocols=[fid_train2000,is_efficientnet_lite0]'
  robsynth evaluate samples=gan.npz reference=cifar10 metrics=standard
  robsynth evaluate samples=gan.npz statistics=cifar10_train_inception2015.npz 'metrics.protocols=[fid50k_train]'
  robsynth evaluate checkpoint=CIFAR.pt classifier=resnet50_cifar reference=cifar10 norm=l2 \\
      'metrics.attack_eps=[0.5]' 'metrics.attacks=[pgd100,autoattack]'

stdout: {"figures": [{"metric", "value", "protocol"}], "protocols", "record", "report"}
""",
    "statistics": """\
usage: robsynth statistics reference=NAME [KEY=VALUE ...]

Writes what FID needs of a data set: mean and covariance of the features of its images, with their provenance.

  reference=mnist5k           the data set
  protocol=fid50k_train       of which split, of how many of its images, with which extractor
  metrics.inception_weights=FILE|download
  out=FILE                    where (NAME_SPLIT_EXTRACTOR.npz unless given)
  device=auto|cpu|cuda  precision=auto|fp32|bf16  debug=true
  trainer=auto|cpu|gpu|ddp|multinode  one process, several here, or torchrun's or srun's; trainer.processes= .threads=

example:
  robsynth statistics reference=cifar10 protocol=fid50k_train out=cifar10_train.npz

stdout: {"statistics", "count", "sha1", "about"}
""",
    "report": """\
usage: robsynth report [KEY=VALUE ...]

Renders tables, plots and a self-contained HTML page from a record and the pictures beside it, or compares records.

  record=PATH                 a record.json or its directory (the newest below outputs/ unless given), or a sweep's
  records=[PATH,PATH,...]     several to compare: the settings and figures that differ, pictures side by side; runs that
                              differ in nothing but the seed become mean and standard deviation
  out=DIR                     where (report/ beside the record unless given)
  readme=FILE                 also fill this file's blocks <!-- figures: RECORD --> ... <!-- end of figures -->
  debug=true

examples:
  robsynth report record=outputs/try
  robsynth report records=[outputs/seed0,outputs/seed1,outputs/longer] out=outputs/compared

stdout: {"tables", "latex", "figures", "page"}, for records {"page", "tables", "figures"}, and if asked for "readme"
""",
    "runs": """\
usage: robsynth runs [KEY=VALUE ...]

Lists the runs that are here by their records: how far they came, and their figures. Compares those that are left.

  under=[outputs,results]     below which directories
  command=NAME  experiment=NAME  dataset=NAME  status=finished|unfinished|failed|unreadable
  where=CONDITION[,...]       FIGURE<NUMBER, also <=, >, >= and =; all have to hold
  sort=finished|FIGURE        downwards with a minus before it; under one protocol at a time
  figures=[FIGURE,...]        which to show; FIGURE is [SUBJECT/]METRIC[/PROTOCOL], the record's first that fits
  compare=true                the settings and figures that differ
  out=DIR                     with compare=true, also the page that compares them
  debug=true

examples:
  robsynth runs
  robsynth runs experiment=mnist5k 'where=generation/fid<150,judge_share>=0.9' sort=-judge_share
  robsynth runs under=[outputs] 'figures=[inpainting/psnr,inpainting/ssim]' compare=true out=outputs/compared

stdout: {"runs": [{"run", "command", "experiment", "dataset", "seed", "started", "finished", "status", "stage",
        "error", "directory", "figures"}]}, with compare=true also "settings", "differences"; with out "page", "tables"
""",
    "convert": """\
usage: robsynth convert checkpoint=FILE [KEY=VALUE ...]

Writes a file of torch.save (the authors' library's, or bare weights under its names or torchvision's) as a
checkpoint of robsynth. Such files need it only where they cannot be read safely, or to be passed on: otherwise
classifier.checkpoint=FILE reads them as they are.

  checkpoint=FILE             what to read
  classifier=resnet50_cifar   what it is: resnet18_cifar|resnet50_cifar|resnet18|resnet50|wide_resnet
  dataset=cifar10             whose classes it has
  out=FILE                    where (FILE.safetensors unless given)
  half=true                   weights in 16 bits: half the size
  trust=true                  execute what code the file holds, if it cannot be read otherwise; only where you trust
                              everyone who could have changed it. Without it nothing in the file is executed
  debug=true

example:
  robsynth convert checkpoint=cifar_l2_0_5.pt out=cifar_l2_0_5.safetensors

stdout: {"checkpoint", "sha1", "card"}
""",
    "sweep": """\
usage: robsynth sweep [sweep=NAME] [KEY=a,b,c ...] [KEY=VALUE ...]

Runs `robsynth reproduce` or `train` with many settings, each in a process and a directory of its own, and compares
them: the best setting, which parameter matters, figures against parameters. Started again it goes on where it was:
finished jobs are not run again, unfinished ones resume, those of a grid that failed are tried again.

  sweep=training_eps|steps_and_step_size|seed_distribution|inpainting_penalty
                              ready-made (experiments/sweeps/README.md); grid (default) or tpe: whatever is asked for
  KEY=a,b,c                   a parameter, for the jobs; also range(1,10), choice(a,b); for TPE interval(0.1,1) and
                              tag(log,interval(0.1,1))
  KEY=VALUE                   for all jobs, as for `robsynth reproduce`; scale=smoke tries a sweep in minutes
  sweep.command=reproduce|train
  sweep.objective=FIGURE      what is best: [SUBJECT/]METRIC of the jobs' records
  sweep.figures=[FIGURE,...]  shown beside it
  sweep.trials=20 sweep.seed=0  of TPE (Optuna)
  sweep.pruning.name=none|median  ends trials of TPE that are worse than the median, by
  sweep.pruning.history=COLUMN    a column of the training's history, e.g. held_out_robust_accuracy, or by
  sweep.pruning.images=[50,100]   the objective of so many first images; sweep.pruning.startup=5 sweep.pruning.warmup=0
  sweep.prepare.NAME=[WORD,...]   a `robsynth train` of these words before all jobs; {NAME} in sweep.words is its file
  launcher=local|joblib|submitit_local|submitit_slurm|ray
  launcher.jobs=2             at once; launcher.cpus= launcher.gpus= (Slurm, Ray) launcher.partition= launcher.account=
                              launcher.minutes= launcher.memory_gb= (Slurm) launcher.address= (Ray)
  out=DIR  force=true  debug=true

examples:
  robsynth sweep adversary.eps=0.5,1,2 scale=smoke
  robsynth sweep sweep=inpainting_penalty launcher=joblib launcher.jobs=2
  robsynth sweep sweep=tpe sweep.trials=30 'tasks.generation.step_size=tag(log,interval(0.05,1))' checkpoint=FILE
  robsynth sweep sweep=training_eps launcher=submitit_slurm launcher.partition=gpu launcher.gpus=1

stdout: {"sweep", "directory", "record", "report", "best", "importance", "jobs"}
""",
    "doctor": """\
usage: robsynth doctor

Says what was found here: devices, data sets, network weights, trackers; and what to do about what is missing.

stdout: the same as JSON
""",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for a failure, 2 for what cannot be met, 3 for a pruned trial."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
        print(USAGE.format(commands=commands), end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from robsynth import __version__

        print(f"robsynth {__version__}")
        return 0
    command, *words = arguments
    if command not in COMMANDS:
        return _complain(f"{command}: no such command; allowed: {', '.join(COMMANDS)}", 2)
    if any(word in ("-h", "--help") for word in words):
        print(HELP[command], end="")
        return 0
    return _run(command, words)


def _run(command: str, words: list[str]) -> int:
    from robsynth.errors import Pruned, RequestError, RunError, status_of
    from robsynth.processes import Elsewhere

    debug = "debug=true" in (word.lower() for word in words)
    # So that what is open is closed, W&B's run among others. A training finishes its step first (training/fit.py).
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = _result(command, words)
        if result is not None:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        return 0
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on from here", 130)
    except Pruned as reason:
        return _complain(str(reason), status_of(reason))
    except SystemExit as stopped:
        if stopped.code != TERMINATED:
            raise
        return _complain("terminated; the same command goes on from here", TERMINATED)
    except Elsewhere as failure:
        return failure.status
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, RequestError | RunError):
            return _complain(str(error), status_of(error))
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _complain(f"failed unexpectedly ({text}); debug=true shows where", 1)


def _terminate(*_: Any) -> None:
    raise SystemExit(TERMINATED)


def _result(command: str, words: list[str]) -> dict[str, Any] | None:
    """What the command says; None where another process of the run says it."""
    from robsynth.config.compose import load_config, resolved, split_words

    keys = [word for word in words if not word.startswith(("--cfg", "--plan")) and word != "job"]
    keys, jobs = split_words(keys) if command == "sweep" else (keys, [])
    config = load_config(command, keys)
    if any(word.startswith("--cfg") for word in words):
        return resolved(config)
    if "--plan" in words:
        return _plan(command, config)
    command_module = importlib.import_module(f"robsynth.commands.{command}")
    if command == "sweep":
        return command_module.run(config, jobs)
    if not hasattr(config, "trainer"):
        return command_module.run(config)
    from robsynth import processes
    from robsynth.lab import launch
    from robsynth.machine import resolve_device

    device = resolve_device(config.device)
    if count := launch.to_start(config.trainer, device):
        launch.start(count, [command, *words])
        return None
    with launch.member(config.trainer, device):
        result = command_module.run(config)
        return result if processes.is_first() else None


def _plan(command: str, config: Any) -> dict[str, Any]:
    from robsynth.errors import RequestError

    if command != "reproduce":
        raise RequestError(f"--plan: `robsynth {command}` has none, allowed: robsynth reproduce --plan")
    from robsynth.lab.plan import plan
    from robsynth.machine import resolve_device, resolve_precision

    device = resolve_device(config.device)
    return plan(config, device, resolve_precision(config.precision, device))


def _complain(line: str, status: int) -> int:
    from robsynth.processes import leave_word, rank

    line = " ".join(line.split())
    if not leave_word(line):
        print(f"robsynth: process {rank()}: {line}" if rank() else f"robsynth: {line}", file=sys.stderr)
    return status
