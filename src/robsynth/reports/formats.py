"""A table as Markdown or LaTeX."""

import re
from collections.abc import Iterable

from robsynth.reports.tables import Cell, Table


def markdown(table: Table) -> str:
    """The table, and its notes below."""
    marks = ["---" if place < table.words else "---:" for place in range(len(table.header))]
    lines = [[_in_markdown(Cell(text)) for text in table.header], marks]
    lines += [[_in_markdown(cell) for cell in row] for row in table.rows]
    return "\n\n".join(["\n".join("| " + " | ".join(line) + " |" for line in lines), *table.notes])


def _in_markdown(cell: Cell) -> str:
    text = re.sub(r"\s", " ", str(cell)).replace("|", r"\|").replace("<", "&lt;")
    return f"**{text}**" if cell.best else text


def latex(tables: Iterable[Table]) -> str:
    """Each table as a float in the style of booktabs, to be pasted or \\input."""
    return "\n".join([r"% needs \usepackage{booktabs}", *[_float(table) for table in tables]])


# Where a column of words is made to break its lines.
LONG = 40


def _float(table: Table) -> str:
    def is_long(place: int) -> bool:
        return any(len(str(row[place])) > LONG for row in table.rows)

    columns = [r"p{0.25\linewidth}" if is_long(place) else "l" for place in range(table.words)]
    columns += ["r"] * (len(table.header) - table.words)
    rows = [" & ".join(_in_latex(cell) for cell in row) + r" \\" for row in table.rows]
    return "\n".join([
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{in_latex(table.title)}}}",
        rf"\begin{{tabular}}{{{''.join(columns)}}}",
        r"\toprule",
        " & ".join(in_latex(text) for text in table.header) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *[rf"\par\footnotesize {in_latex(note)}" for note in table.notes],
        r"\end{table}",
        "",
    ])  # fmt: skip


def _in_latex(cell: Cell) -> str:
    text = in_latex(str(cell))
    # A row that begins with a bracket would be read as the option of the line break before it.
    text = f"{{}}{text}" if text.startswith("[") else text
    return rf"\textbf{{{text}}}" if cell.best else text


SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "→": r"$\rightarrow$", "±": r"$\pm$", "×": r"$\times$", "\n": " ",
}  # fmt: skip


def in_latex(text: str) -> str:
    """A text with every special sign escaped, and what stands between backticks in a typewriter's letters."""
    parts = [_escaped(part) for part in text.split("`")]
    parts[1::2] = [rf"\texttt{{{_breakable(part)}}}" for part in parts[1::2]]
    return "".join(parts)


def _breakable(word: str) -> str:
    """Protocols' names are too long for a line."""
    return re.sub(r"([_-])", r"\1\\allowbreak{}", word)


def _escaped(text: str) -> str:
    text = "".join(SPECIAL.get(sign, sign) for sign in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", text)
