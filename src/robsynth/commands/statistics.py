from pathlib import Path
from typing import Any

from robsynth import processes
from robsynth.config.commands import StatisticsConfig
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.context import open_context
from robsynth.metrics.exported import save_statistics
from robsynth.metrics.measures import statistics
from robsynth.metrics.protocols import parse
from robsynth.metrics.sets import SetMeasures, describe


def run(config: StatisticsConfig) -> dict[str, Any]:
    """What FID needs of a data set, in one file that `robsynth evaluate statistics=FILE` measures against."""
    context = open_context("statistics", config, with_data=True)
    asked = parse(config.protocol, context.machine.precision)
    if asked.kind != "fid":
        raise RequestError(f"protocol: found {config.protocol}, allowed: one of FID, e.g. fid50k_train")
    measures, data = SetMeasures(config.metrics, context.machine, context.data), context.data
    features = measures.references(asked, 0)[asked.split]
    features.compute_share()
    processes.barrier()
    extractor = features.extractor
    about = {
        "name": data.name,
        "split": asked.split,
        "reference": describe(measures.split(asked.split), features.count),
        "made_with": extractor.describe(),
        "extractor_name": extractor.name,
        "extractor": extractor.digest,
    }
    path = Path(config.out or f"{data.name}_{asked.split}_{extractor.name}.npz")
    processes.once(lambda: save_statistics(path, statistics(features), about))
    return {"statistics": str(path), "count": features.count, "sha1": file_sha1(path), "about": about}
