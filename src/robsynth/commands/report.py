from pathlib import Path
from typing import Any

from robsynth.config import ReportConfig
from robsynth.errors import RequestError
from robsynth.files import writable_directory, write_text
from robsynth.records.record import FILE
from robsynth.records.sweep import is_sweep
from robsynth.reports import compare, fill_readme, render
from robsynth.reports.sweep import render_sweep


def run(config: ReportConfig) -> dict[str, Any]:
    """Tables, plots and the page of a record, or several compared, and on request README's figures."""
    written = _report(config) if config.records is None else _comparison(config, config.records)
    if config.readme is not None:
        readme = Path(config.readme)
        write_text(readme, fill_readme(readme))
        written["readme"] = readme
    return {name: str(path) for name, path in written.items()}


def _report(config: ReportConfig) -> dict[str, Path]:
    record = Path(config.record) if config.record else _newest(Path("outputs"))
    beside = record if record.is_dir() else record.parent
    if is_sweep(record):
        return render_sweep(record, writable_directory(config.out or beside / "report"))
    return render(record, writable_directory(config.out or beside / "report"))


def _comparison(config: ReportConfig, records: list[str]) -> dict[str, Path]:
    if config.record is not None:
        raise RequestError("records: found record as well, allowed: record=PATH or records=[PATH,PATH,...]")
    if config.out is None:
        raise RequestError("out: found none, but records=[PATH,PATH,...] needs it; allowed: out=DIR")
    return compare([Path(path) for path in records], writable_directory(config.out))


def _newest(outputs: Path) -> Path:
    records = [path for path in outputs.glob(f"*/{FILE}") if path.parent.name != "report"]
    if not records:
        raise RequestError(f"record: no {outputs}/*/{FILE} here; allowed: record=PATH of a record or its directory")
    return max(records, key=lambda path: path.stat().st_mtime)
