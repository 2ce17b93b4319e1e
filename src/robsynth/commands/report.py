from pathlib import Path
from typing import Any

from robsynth.config import ReportConfig
from robsynth.errors import RequestError
from robsynth.files import writable_directory, write_text
from robsynth.records.record import FILE
from robsynth.reports import fill_readme, render


def run(config: ReportConfig) -> dict[str, Any]:
    """Tables and the page of a record, and on request README's figures."""
    record = Path(config.record) if config.record else _newest(Path("outputs"))
    beside = record if record.is_dir() else record.parent
    out = writable_directory(config.out or beside / "report")
    written = render(record, out)
    if config.readme is not None:
        readme = Path(config.readme)
        write_text(readme, fill_readme(readme))
        written["readme"] = readme
    return {name: str(path) for name, path in written.items()}


def _newest(outputs: Path) -> Path:
    records = [path for path in outputs.glob(f"*/{FILE}") if path.parent.name != "report"]
    if not records:
        raise RequestError(f"record: no {outputs}/*/{FILE} here; allowed: record=PATH of a record or its directory")
    return max(records, key=lambda path: path.stat().st_mtime)
