"""What stages leave, JSON-like."""

from robsynth.lab.context import Result
from robsynth.records.figures import Figure


def as_result(figures: list[Figure], warnings: list[str]) -> Result:
    """Figures with their protocols, as a stage keeps them."""
    return {
        "figures": [figure.as_dict() for figure in figures],
        "protocols": {figure.protocol.name: figure.protocol.details for figure in figures},
        "warnings": warnings,
    }
