"""Where converted weights are looked for, and where downloads are kept."""

from pathlib import Path

import jaxret
from jaxret.models.spec import ModelSpec, Source
from jaxret.runtime.user_cache import cache_dir, find_cache_dir

PROVENANCE = "provenance.json"


def weights_dirs(weights_dir: str | Path | None = None) -> list[Path]:
    """Folders that may hold `<model>/provenance.json`, in the order in which they are tried.

    The given one, ./weights, the user's cache, what was installed with the package, and the
    clone that the package is used from.
    """
    package = Path(jaxret.__file__).parent
    given = [Path(weights_dir)] if weights_dir is not None else []
    cache = find_cache_dir()
    places = [
        *given,
        Path("weights"),
        *([cache / "weights"] if cache else []),
        package / "_weights",
        package.parent / "weights",
    ]
    return list(dict.fromkeys(places))


def find(name: str, weights_dir: str | Path | None = None) -> Path | None:
    """The folder that holds the converted weights of `name`, or None."""
    for place in weights_dirs(weights_dir):
        if (place / name / PROVENANCE).is_file():
            return place / name
    return None


def download_path(spec: ModelSpec, source: Source) -> Path:
    """Where `tools/download.py` leaves the checkpoint of a source, unpacked."""
    file = source.member or source.url.rsplit("/", 1)[-1]
    return cache_dir() / "downloads" / spec.name / file


def commands(spec: ModelSpec, weights_dir: str | Path | None = None) -> tuple[str, str]:
    """The two commands that bring a model here: download, then convert."""
    output = Path(weights_dir if weights_dir is not None else "weights") / spec.name
    known = spec.sources and find_cache_dir()
    source = str(download_path(spec, spec.sources[0])) if known else "FILE"
    return (
        f"python tools/download.py {spec.name}",
        f"python tools/convert.py --model={spec.name} --source={source} --output={output}",
    )
