"""Training curves from a record's history."""

import io
from collections.abc import Mapping, Sequence

HIDDEN = ("epoch", "wall_seconds", "cpu_seconds")


def curves_png(history: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """A panel for each training, one line a metric over epochs, as PNG."""
    from matplotlib.figure import Figure

    parts = {name: rows for name, rows in history.items() if rows}
    figure = Figure(figsize=(4.2 * max(len(parts), 1), 3), layout="constrained")
    for place, (name, rows) in enumerate(parts.items()):
        axes = figure.add_subplot(1, len(parts), place + 1)
        for key in rows[0]:
            if key not in HIDDEN:
                axes.plot([row["epoch"] for row in rows], [row[key] for row in rows], label=key, marker=".")
        seconds = rows[-1]["cpu_seconds"]
        axes.set(title=f"{name} ({seconds:.0f} CPU s)", xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()
