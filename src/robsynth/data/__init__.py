"""Where images come from."""

from robsynth.data.images import DataSet, ImageSet
from robsynth.errors import RequestError

DATA_SETS = ("mnist5k",)


def load_data(name: str) -> DataSet:
    """The data set of that name, from the first of its sources that is here."""
    if name == "mnist5k":
        from robsynth.data.mnist5k import mnist5k

        return mnist5k()
    raise RequestError(f"dataset: found {name!r}, allowed: {', '.join(DATA_SETS)}")


__all__ = ["DATA_SETS", "DataSet", "ImageSet", "load_data"]
