"""Where a data set's files are and how they are laid out; each layout gives the same `Listing`."""

from robsynth.data.sources.listing import Listing
from robsynth.data.sources.locate import find_listings

__all__ = ["Listing", "find_listings"]
