"""What is measured, and where a run is logged."""

import re
from dataclasses import dataclass

from robsynth.config.fields import Contradictions, choice, number, setting

# What attacks a classifier: so many steps of PGD, from so many random starts; or AutoAttack.
ATTACK = re.compile(r"pgd(?P<steps>[1-9]\d*)(?:x(?P<restarts>[1-9]\d*))?|autoattack")
TRACKERS = {"wandb": ("mode",), "tensorboard": (), "csv": (), "none": ()}


@dataclass
class SampleSettings:
    """How many images a task makes."""

    count: int = number(least=1, help="how many images")
    batch_size: int = number(least=1, help="how many at a time; does not change the images")


@dataclass
class Metrics:
    """What is measured: sets of images under protocols, classifiers by attacks beside their clean accuracy."""

    protocols: list[str] = setting(
        list,
        help="METRIC[COUNT][_SPLIT[COUNT]] with METRIC one of fid, fid_infinity, class_fid, kid, is, precision_recall, "
        "density_coverage, memorised; then _SUBSETSxSIZE, _Nsplits, _kN, _clean or _torchmetrics (resizes), "
        "_EXTRACTOR, _tf32, _bf16 or _fast: fid50k_train, is50k, kid_train2000_50x250, is_efficientnet_lite0",
    )
    resamples: int = number(least=0, help="bootstrap resamples of an interval, 0 for none")
    attacks: list[str] = setting(list, help="pgdSTEPS, pgdSTEPSxRESTARTS, autoattack (pip install 'robsynth[attacks]')")
    attack_eps: list[float] = number(above=0, default=list, help="radii of a robustness curve; pixels in [0, 1]")
    accuracy_count: int | None = number(least=1, default=None, help="the first so many test images; all unless given")
    inception_weights: str | None = setting(None, help="a file, or download, for the Inception Score")

    def contradictions(self) -> Contradictions:
        rule = "allowed: pgdSTEPS, pgdSTEPSxRESTARTS, autoattack (accuracy without any is always measured)"
        yield not all(map(ATTACK.fullmatch, self.attacks)), "attacks", rule


@dataclass
class Curves:
    """Generation along one setting, the others as they are."""

    steps: list[int] = number(least=1, default=list, help="generation measured at each of these numbers of steps")
    eps: list[float] = number(above=0, default=list, help="and in each of these balls")
    count: int = number(least=1, help="of how many images")


@dataclass
class TrackerSettings:
    """Where a run is logged besides its record."""

    name: str = choice(TRACKERS, beside="optional", help="who keeps the log")
    project: str = setting("robsynth", help="W&B's")
    group: str | None = setting(None, help="W&B's: what keeps several runs together")
    mode: str = choice(("auto", "offline", "online"), default="auto", help="W&B's; auto: online if there is an account")
