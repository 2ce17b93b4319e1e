from pathlib import Path
from typing import Any

from robsynth.config import EvaluateConfig
from robsynth.data import load_data
from robsynth.errors import RequestError
from robsynth.machine import resolve_device, resolve_precision
from robsynth.metrics.inception import pixels_digest
from robsynth.runs.reproduce import as_result, make_evaluation, make_record
from robsynth.runs.run import Run
from robsynth.samples import load_samples


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Samples of any origin against a data set; the same samples are measured once."""
    if config.samples is None:
        raise RequestError("samples: none given, allowed: a sample store, a folder of images, or an .npz file")
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    data = load_data(config.reference)
    samples = load_samples(config.samples)
    evaluation = make_evaluation(
        config.metrics, data, Path(config.judge) if config.judge else None, config.seed, device, precision
    )
    digests = [pixels_digest(part) for part in (samples.images, samples.wanted, samples.original) if part is not None]
    this = Run("evaluate", config, {"precision": precision, "data": data.fingerprint, "samples": digests})
    name = Path(config.samples).name
    result = this.stage("measure", lambda: as_result(evaluation.measure(name, samples)))
    path = make_record(this, "evaluate", config, data, device, precision, {}, []).save(this.directory)
    return {"figures": result["figures"], "protocols": result["protocols"], "record": str(path)}
