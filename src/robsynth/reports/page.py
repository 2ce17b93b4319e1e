"""HTML pages that hold all they show."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robsynth.files import write_text


def page(template: str, **content: Any) -> str:
    """A template of this package with `content`; texts are escaped."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("robsynth.reports", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"code": _code, "data_url": _data_url, "anchor": _anchor}
    return environment.get_template(template).render(**content)


def gallery(path: Path, title: str, picture: bytes, rows: Sequence[str], facts: Mapping[str, Any]) -> None:
    """A self-contained page with one picture, the names of its rows and what it was made with."""
    write_text(path, page("gallery.html.j2", title=title, picture=picture, rows=rows, facts=facts))


def _code(text: str) -> str:
    """`word` to <code>word</code>."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _anchor(title: str) -> str:
    """A title as the name of a place in the page."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")
