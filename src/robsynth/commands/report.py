from pathlib import Path
from typing import Any

from robsynth.config.commands import ReportConfig
from robsynth.directories import writable_directory
from robsynth.errors import RequestError
from robsynth.files import write_text
from robsynth.records.record import RECORD
from robsynth.records.sweep import is_sweep
from robsynth.reports import compare, fill_readme, render
from robsynth.reports.sweep import render_sweep


def run(config: ReportConfig) -> dict[str, Any]:
    """Tables, plots and the page of a record, or several compared, and on request README's figures."""
    if config.records is None:
        record = Path(config.record) if config.record else _newest(Path("outputs"))
        out = writable_directory(config.out or (record if record.is_dir() else record.parent) / "report")
        written = (render_sweep if is_sweep(record) else render)(record, out)
    else:
        if config.record is not None:
            raise RequestError("records: found record as well, allowed: record=PATH or records=[PATH,PATH,...]")
        if config.out is None:
            raise RequestError("out: found none, but records=[PATH,PATH,...] needs it; allowed: out=DIR")
        written = compare([Path(path) for path in config.records], writable_directory(config.out))
    if config.readme is not None:
        written["readme"] = Path(config.readme)
        write_text(written["readme"], fill_readme(written["readme"]))
    return {name: str(path) for name, path in written.items()}


def _newest(outputs: Path) -> Path:
    records = [path for path in outputs.glob(f"*/{RECORD}") if path.parent.name != "report"]
    if not records:
        raise RequestError(f"record: no {outputs}/*/{RECORD} here; allowed: record=PATH of a record or its directory")
    return max(records, key=lambda path: path.stat().st_mtime)
