"""Where a data set's files are and how they are laid out; each layout gives the same `Listing`."""

from robsynth.data.sources.listing import Listing
from robsynth.data.sources.locate import KNOWN, Source, find_source

__all__ = ["KNOWN", "Listing", "Source", "find_source"]
