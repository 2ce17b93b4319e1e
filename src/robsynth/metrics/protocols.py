"""Names that say how to measure: `fid50k_train` is the FID of 50,000 images against the whole training split.

A name is made of parts, and each part that is left out stands for what is usual:

    METRIC[COUNT] [_SPLIT[COUNT]] [_SUBSETSxSIZE] [_Nsplits] [_kN] [_EXTRACTOR | _RESIZE] [_bf16 | _tf32 | _fast]

e.g. `fid10k_test`, `is50k`, `kid_train_50x250`, `precision_recall10k_train10k`, `fid50k_train_clean`,
`is_efficientnet_lite0`. A name cannot be redefined: who wants another count writes another name. Features are computed
in IEEE float32 unless the name says bf16 or tf32; `_fast` asks for what this machine is told to compute in, and becomes
that.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from robsynth.errors import RequestError

Found = dict[str, dict[str, Any]]
"""What a measurement gives: for each of its metrics the value and what is known of its certainty, as a figure's fields.
"""
# torch-fidelity's numbers, and those of Kynkäänniemi et al. (2019) and Naeem et al. (2020).
SUBSETS, SUBSET_SIZE, SPLITS, SEED = 100, 1000, 10, 2020
NEIGHBOURS = {"precision_recall": 3, "density_coverage": 5}
EXTRACTOR, JUDGE = "inception2015", "judge"
RESIZES = ("clean", "torchmetrics")

_PART = re.compile(
    r"_(?:(?P<split>train|test)(?P<reference>\d+k?)?|(?P<subsets>\d+)x(?P<size>\d+)|(?P<splits>\d+)splits|k(?P<k>\d+)"
    r"|(?P<precision>bf16|tf32|fast)|(?P<extractor>[a-z]\w*?(?=_bf16$|_tf32$|_fast$|$)))(?=_|$)"
)


@dataclass(frozen=True)
class Kind:
    """A kind of measurement.

    `measure` gives its figures from the features of sets (measures.py); `against` says which real images they are set
    against: a whole split, as many as there are samples, or none; `test` whether the test split is looked at too.
    `interval` says of what an interval is, `code` is the digest of a file that is not of this package.
    """

    measure: Callable[["Measurement", Any], Found]
    against: Literal["split", "as many", "none"] = "split"
    test: bool = False
    extractor: str = EXTRACTOR
    interval: str = ""
    code: str = ""


# By the word that names begin with; filled where the measures are.
MEASURES: dict[str, Kind] = {}


@dataclass(frozen=True)
class Measurement:
    """What a protocol's name asks for; None for a count means all there are."""

    kind: str
    count: int | None = None
    split: str = "train"
    reference_count: int | None = None
    subsets: int = SUBSETS
    subset_size: int = SUBSET_SIZE
    splits: int = SPLITS
    neighbours: int = 0
    extractor: str = EXTRACTOR
    precision: str = "fp32"

    @property
    def compares(self) -> bool:
        """Whether it sets the samples against a reference, or looks at them alone."""
        return MEASURES[self.kind].against == "split"

    def references(self, count: int, sizes: Mapping[str, int]) -> dict[str, int]:
        """How many images of which split are looked at beside `count` samples; `sizes` are the splits'."""
        kind, own = MEASURES[self.kind], self.count or count
        found = {"test": min(own, sizes["test"])} if kind.test else {}
        if kind.against != "none":
            whole = sizes[self.split] if self.compares else min(own, sizes[self.split])
            found[self.split] = max(self.reference_count or whole, found.get(self.split, 0))
        return found

    def name(self, reference: str | None = None) -> str:
        """The whole name, after it the data that were the reference."""
        parts = [self.kind + _number(self.count)]
        if self.compares:
            parts.append(self.split + _number(self.reference_count))
        if self.kind == "kid" and (self.subsets, self.subset_size) != (SUBSETS, SUBSET_SIZE):
            parts.append(f"{self.subsets}x{self.subset_size}")
        if self.kind == "is" and self.splits != SPLITS:
            parts.append(f"{self.splits}splits")
        if self.neighbours != NEIGHBOURS.get(self.kind, 0):
            parts.append(f"k{self.neighbours}")
        if self.extractor != MEASURES[self.kind].extractor:
            parts.append(self.extractor.removeprefix(f"{EXTRACTOR}_"))
        if self.precision != "fp32":
            parts.append(self.precision)
        return "_".join(parts) + (f"-{reference}" if reference else "")

    def of(self, count: int, reference_count: int | None = None) -> "Measurement":
        """The same with the numbers of images that there are; a whole split goes without a number."""
        return replace(self, count=self.count or count, reference_count=reference_count)

    def details(self) -> dict[str, Any]:
        """The numbers beside counts that its figures depend on."""
        if self.kind == "kid":
            return {"kernel": "polynomial, degree 3", "subsets": self.subsets, "subset size": self.subset_size,
                    "seed": SEED, "scale": "x 1000", "spread": "standard deviation over the subsets"}  # fmt: skip
        if self.kind == "is":
            return {"splits": self.splits, "seed": SEED, "order": "shuffled"}
        return {"neighbours": self.neighbours} if self.kind in NEIGHBOURS else {}


def parse(name: str, fast: str = "fp32") -> Measurement:
    """The measurement of a name; `fast` is the precision that this machine computes in.

    Raises
    ------
    RequestError
        If the name is not made of the parts above; the part that was not understood is named.
    """
    found = re.match(rf"({'|'.join(sorted(MEASURES, key=len, reverse=True))})(\d+k?)?(?=_|$)", name)
    if not found:
        raise RequestError(f"metrics.protocols: found {name!r}, allowed: a name that begins with {', '.join(MEASURES)}")
    kind = found[1]
    asked: dict[str, Any] = {"count": _count(found[2]), "neighbours": NEIGHBOURS.get(kind, 0),
                             "extractor": MEASURES[kind].extractor}  # fmt: skip
    place = found.end()
    while place < len(name):
        part = _PART.match(name, place)
        if not part:
            raise RequestError(f"metrics.protocols: {name}: {name[place + 1 :]!r} is not understood; {_ALLOWED}")
        asked |= _read(part, fast)
        place = part.end()
    _refuse_what_does_nothing(name, kind, asked)
    return Measurement(kind, **asked)


_ALLOWED = (
    "allowed: _SPLIT[COUNT], _SUBSETSxSIZE, _Nsplits, _kN, _EXTRACTOR, _clean, _torchmetrics, _bf16, _tf32 or _fast"
)


def _read(part: re.Match[str], fast: str) -> dict[str, Any]:
    if part["split"]:
        return {"split": part["split"], "reference_count": _count(part["reference"])}
    if part["subsets"]:
        return {"subsets": int(part["subsets"]), "subset_size": int(part["size"])}
    if part["splits"]:
        return {"splits": int(part["splits"])}
    if part["k"]:
        return {"neighbours": int(part["k"])}
    if part["precision"]:
        return {"precision": fast if part["precision"] == "fast" else part["precision"]}
    return {"extractor": f"{EXTRACTOR}_{part['extractor']}" if part["extractor"] in RESIZES else part["extractor"]}


def _refuse_what_does_nothing(name: str, kind: str, asked: dict[str, Any]) -> None:
    reads = {"subsets": "kid", "splits": "is"}
    for key, reader in reads.items():
        if key in asked and kind != reader:
            raise RequestError(f"metrics.protocols: {name}: only {reader} has {key}")
    if asked["neighbours"] and kind not in NEIGHBOURS:
        raise RequestError(f"metrics.protocols: {name}: only {' and '.join(NEIGHBOURS)} have neighbours")
    least = {"count": 2, "reference_count": 2, "subsets": 1, "subset_size": 2, "splits": 1}
    for key, lowest in least.items():
        if (value := asked.get(key)) is not None and value < lowest:
            raise RequestError(f"metrics.protocols: {name}: found {key} {value}, allowed: at least {lowest}")


def _count(text: str | None) -> int | None:
    if not text:
        return None
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def _number(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count // 1000}k" if count % 1000 == 0 and count else str(count)
