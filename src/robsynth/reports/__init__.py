"""Tables, curves and the page, all rendered from a record alone."""

from robsynth.reports.render import fill_readme, gallery, render

__all__ = ["fill_readme", "gallery", "render"]
