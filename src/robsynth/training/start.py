"""What a training begins with."""

from robsynth.classifiers import Classifier, find_checkpoint, load_classifier
from robsynth.errors import RequestError


def begin_from(network: Classifier, checkpoint: str) -> None:
    """Copy a trained classifier's weights; a head for another number of classes stays as it is."""
    trained, _ = load_classifier(find_checkpoint(checkpoint, "recipe.start"), "recipe.start")
    weights, own = trained.state_dict(), network.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if unfit := [name for name in own if name not in fitting and not name.startswith(("head.", "mean", "std"))]:
        raise RequestError(f"recipe.start: {checkpoint} is of another architecture ({unfit[0]} differs)")
    normalisation = {"mean": network.mean, "std": network.std}
    network.load_state_dict({**own, **fitting, **normalisation})
