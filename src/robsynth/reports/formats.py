"""This package's templates, filled in: pages that hold all they show, Markdown, LaTeX."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from robsynth.reports.tables import Table


def filled(template: str, **content: Any) -> str:
    """A template with `content`, whose texts are escaped in pages."""
    return ENVIRONMENT.get_template(template).render(**content)


def markdown(table: Table) -> str:
    """The table, if it has columns, and its notes below."""
    return filled("table.md.j2", table=table).strip("\n")


def latex(tables: Sequence[Table]) -> str:
    """Each table as a float in the style of booktabs, to be pasted or \\input."""
    return filled("tables.tex.j2", tables=tables)


SPECIAL: dict[str, str | int | None] = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "→": r"$\rightarrow$", "±": r"$\pm$", "×": r"$\times$", "\n": " ",
}  # fmt: skip


def in_latex(text: object) -> str:
    """A text with every special sign escaped, and what stands between backticks in a typewriter's letters."""
    parts = [re.sub(r"(?<!\w)-(?=\d)", "$-$", part.translate(str.maketrans(SPECIAL))) for part in str(text).split("`")]
    # Protocols' names are too long for a line.
    parts[1::2] = [r"\texttt{" + re.sub(r"([_-])", r"\1\\allowbreak{}", part) + "}" for part in parts[1::2]]
    return "".join(parts)


ENVIRONMENT = Environment(
    loader=PackageLoader("robsynth.reports", "."), autoescape=select_autoescape(["html.j2"]), trim_blocks=True,
    keep_trailing_newline=True,
)  # fmt: skip
ENVIRONMENT.filters.update(
    anchor=lambda title: re.sub(r"\W+", "-", title.lower()).strip("-"),
    # `word` to <code>word</code>.
    code=lambda text: Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))),
    data_url=lambda png: "data:image/png;base64," + base64.b64encode(png).decode(),
    in_latex=in_latex,
    in_markdown=lambda text: re.sub(r"\s", " ", str(text)).replace("|", r"\|").replace("<", "&lt;"),
    json=json.dumps,
    markdown=markdown,
)
