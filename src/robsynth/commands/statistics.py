from pathlib import Path
from typing import Any

from robsynth import processes
from robsynth.config import StatisticsConfig
from robsynth.data import load_data
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.exported import save_statistics
from robsynth.metrics.features import DataSource, Features
from robsynth.metrics.measures import statistics
from robsynth.metrics.protocols import parse
from robsynth.metrics.sets import SetMeasures, describe


def run(config: StatisticsConfig) -> dict[str, Any]:
    """What FID needs of a data set, in one file that `robsynth evaluate statistics=FILE` measures against."""
    device = resolve_device(config.device)
    asked = parse(config.protocol, resolve_precision(config.precision, device))
    if asked.kind != "fid":
        raise RequestError(f"protocol: found {config.protocol}, allowed: one of FID, e.g. fid50k_train")
    data = processes.first_then_others(lambda: load_data(config.reference))
    measures = SetMeasures(config.metrics, data, None, None, device, "fp32")
    split, extractor = measures.split(asked), measures.extractor(asked)
    count = asked.reference_count or len(split)
    if count > len(split):
        raise RequestError(f"protocol: {config.protocol} needs {count} images, found {len(split)} ({split.name})")
    features = Features(DataSource(split, count), extractor, count)
    features.compute_share()
    processes.barrier()
    about = {
        "name": data.name,
        "split": asked.split,
        "reference": describe(split, count),
        "made_with": extractor.describe(),
        "extractor_name": extractor.name,
        "extractor": extractor.digest,
    }
    path = Path(config.out or f"{data.name}_{asked.split}_{extractor.name}.npz")
    processes.once(lambda: save_statistics(path, statistics(features), about))
    return {"statistics": str(path), "count": count, "sha1": file_sha1(path), "about": about}
