from pathlib import Path
from typing import Any

from robsynth.classifiers import ImageSpec, find_checkpoint, import_classifier, is_safetensors, save_classifier
from robsynth.config.commands import ConvertConfig
from robsynth.data import load_data
from robsynth.data.normalisation import normalisation
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.cards import describe_copy
from robsynth.progress import say


def run(config: ConvertConfig) -> dict[str, Any]:
    """Another library's checkpoint as one of ours."""
    if config.classifier.checkpoint is None:
        raise RequestError("checkpoint: none given, allowed: a file of torch.save")
    path = find_checkpoint(config.classifier.checkpoint)
    if is_safetensors(path):
        raise RequestError(f"checkpoint: {path} is a safetensors file, allowed: a file of torch.save")
    out = Path(config.out or f"{path}.safetensors")
    if out.exists():
        raise RequestError(f"out: {out} exists, allowed: a new file")
    data = load_data(config.dataset)
    images = ImageSpec(data.name, data.label_names, data.shape, *normalisation(data, config.dataset))
    if config.trust:
        say(
            f"trust=true: opening {path} executes whatever code is in it, with all your rights. "
            "You trust everyone who could have changed this file; the file that is written holds tensors only."
        )
    network, about = import_classifier(path, config.classifier, images, trust=config.trust)
    save_classifier(out, network, about, half=config.half)
    card, _ = describe_copy(out, path)
    return {"checkpoint": str(out), "sha1": file_sha1(out), "card": str(card)}
