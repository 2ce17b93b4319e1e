"""From few pixels to many (Santurkar et al., 2019, section 3.4)."""

from torch import Tensor
from torch.nn.functional import avg_pool2d

from robsynth.ascent import towards
from robsynth.classifiers import AnyClassifier
from robsynth.config import SuperResolution
from robsynth.tasks.problem import Batch, Problem, register_task
from robsynth.tasks.seeds import block_upsample


def super_resolution(f: AnyClassifier, batch: Batch, s: SuperResolution) -> Problem:
    """min L(x, y) around the block-upsampled image of few pixels, for the true class y.

    An image as large as the classifier's is averaged over blocks first, and is what the result is compared with;
    a smaller one is taken as it is.
    """
    y = batch.wanted(batch.labels)

    def objective(x: Tensor) -> Tensor:
        return towards(f(x), y, s.objective)

    if batch.images.shape[-1] < batch.size:
        return Problem(block_upsample(batch.images, s.factor), objective, wanted=y)
    few_pixels = avg_pool2d(batch.images, s.factor)
    return Problem(block_upsample(few_pixels, s.factor), objective, wanted=y, original=batch.images)


register_task("super_resolution", SuperResolution, super_resolution)
