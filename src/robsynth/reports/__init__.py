"""Tables, plots and pages, rendered from records and the published figures that stand beside them."""

from robsynth.reports.comparison import compare
from robsynth.reports.readme import fill_readme
from robsynth.reports.render import render

__all__ = ["compare", "fill_readme", "render"]
