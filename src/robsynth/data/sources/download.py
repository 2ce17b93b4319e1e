"""Copies of data sets that are not here, whole or not at all."""

import os
import shutil
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from robsynth.data.sources.parquet import files_of_split
from robsynth.errors import RequestError
from robsynth.files import cache_directory
from robsynth.progress import say

# Seconds without an answer after which there is no network.
TIMEOUT = 10


def downloads() -> Path:
    return cache_directory() / "data"


def hub_copy(repository: str) -> Path:
    """Where a repository of the hub is kept once it has been downloaded."""
    return downloads() / "hub" / repository.replace("/", "--")


def download_from_hub(repository: str, splits: Sequence[Sequence[str]]) -> Path:
    """The parquet files of a repository's splits, as the `huggingface_hub` library downloads and resumes them.

    Raises
    ------
    RequestError
        If the hub cannot be reached, does not let this user in, or the repository has no such files.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi

    def fetch(folder: Path) -> None:
        hub = HfApi()
        # One request without retries tells whether there is a network at all.
        about = hub.dataset_info(repository, timeout=TIMEOUT)
        there = [file.rfilename for file in about.siblings or []]
        for names in splits:
            files = files_of_split(there, names)
            if not files:
                raise RequestError(f"has no {' or '.join(f'{name}*.parquet' for name in names)}")
            for file in files:
                hub.hf_hub_download(repository, file, repo_type="dataset", revision=about.sha, local_dir=folder)

    say(f"downloading {repository} from the Hugging Face hub")
    return _whole(hub_copy(repository), fetch, f"hub data set {repository}")


def download_archive(address: str, name: str) -> Path:
    """A .zip whose files lie in one folder called `name`, unpacked."""

    def fetch(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / "archive.zip"
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, archive.open("wb") as file:
            shutil.copyfileobj(answer, file)
        zipfile.ZipFile(archive).extractall(folder)
        archive.unlink()

    say(f"downloading {address}")
    whole = _whole(downloads() / "archives" / name, fetch, address)
    return whole / name


def _whole(target: Path, fetch: Callable[[Path], None], what: str) -> Path:
    """`target` as `fetch` fills it; under another name until it is whole."""
    if target.is_dir():
        return target
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        fetch(unfinished)
        os.replace(unfinished, target)
    except Exception as error:  # The libraries below raise nearly anything.
        raise RequestError(f"{what}: {' '.join(str(error).split())[:300]}") from None
    return target
