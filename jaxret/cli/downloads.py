"""From a name to its files on this machine, told in words: what `tools/download.py` does.

obtain_model("simclr2x") -> checkpoint           obtain_dataset("roxford5k") -> files
obtain_weights("simclr2x") -> converted weights, downloaded first where needed
"""

import difflib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jaxret.errors import UserError

if TYPE_CHECKING:
    from jaxret.models.weights.download import Delivery

Say = Callable[[str], None]


def check_name(name: str) -> str:
    """The name, if it is one of a model or of a dataset; UserError with the nearest otherwise."""
    from jaxret import models
    from jaxret.data.benchmarks import sources

    known = [*models.names(), *sources.names()]
    if name in known:
        return name
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    rest = [other for other in known if other not in nearest]
    raise UserError(
        f"There is neither a model nor a dataset '{name}'. Known, nearest first:"
        f" {', '.join([*nearest, *rest])}."
    )


def listing() -> str:
    """Each model with its licence and sources, each dataset with its size."""
    from jaxret import fetch, models
    from jaxret.data.benchmarks import sources

    lines = ["models"]
    for name in models.names():
        spec = models.get(name)
        lines.append(f"  {name}  [{spec.licence}]  {spec.note}")
        for number, source in enumerate(spec.sources, 1):
            note = f"  ({source.note})" if source.note else ""
            lines.append(f"      {number}. {source.url}{note}")
    lines.append("datasets")
    for name in sources.names():
        files = sources.files_of(name)
        known = [file.about for file in files if file.about is not None]
        more = "" if len(known) == len(files) else "more than "
        told = f", {more}{fetch.human_size(sum(known))}" if known else ""
        lines.append(f"  {name:15}{_count(len(files), 'file')}{told}  [{sources.licence(name)}]")
    return "\n".join(lines)


def obtain_model(
    name: str,
    output: str | Path | None = None,
    which: int = 1,
    retries: int = 6,
    say: Say = print,
) -> Path:
    """Fetches a checkpoint; says where from, under which licence, and what to do next."""
    from jaxret import fetch, models
    from jaxret.models.weights import download

    spec = models.get(name)
    if len(spec.sources) >= which:
        source = spec.sources[which - 1]
        size = f", {fetch.human_size(source.size)}" if source.size is not None else ""
        note = f"\n  {source.note}" if source.note else ""
        say(f"{name}: {source.url}{size}{note}")
        say(f"  licence of the weights: {spec.licence or 'not stated'}")
    got = download.fetch_checkpoint(spec, output, which, retries)
    say(f"  {_checked(got)}\n  {got.path}")
    say(f"To convert: python tools/convert.py --model={name} --source={shlex.quote(str(got.path))}")
    return got.path


def obtain_weights(name: str, weights_dir: str | Path = "weights", say: Say = print) -> Path:
    """Downloads a model's checkpoint unless it is here, and converts it.

    Args:
        name: of the model.
        weights_dir: folder that gets `<name>/`, the converted weights.
        say: takes each line of what happens.

    Returns:
        The folder of the converted weights.

    Raises:
        UserError: it did not come, or it is not a checkpoint of this model.
    """
    from jaxret.convert import convert_file  # late: it imports JAX

    checkpoint = obtain_model(name, say=say)
    folder = Path(weights_dir).expanduser() / name
    say(convert_file(name, checkpoint, folder).report.summary())
    say(f"Converted weights in {folder}")
    return folder


def _checked(got: "Delivery") -> str:
    from jaxret.fetch import checks

    source, path = got.source, got.path
    for kind in ("sha256", "md5"):
        if expected := getattr(source, kind):
            whole = f"{kind} {expected}" if len(expected) > 16 else f"{kind} begins with {expected}"
            return f"as published: {whole}"
    if path.is_file():
        return f"no checksum is published; its sha256 is {checks.digest(path, 'sha256')}"
    return "no checksum is published"


def obtain_dataset(
    name: str,
    output: str | Path | None = None,
    retries: int = 6,
    say: Say = print,
    subset: str | None = None,
) -> list[Path]:
    """Fetches a benchmark's files; says beforehand how much will come and what disk it takes."""
    from jaxret import fetch
    from jaxret.data.benchmarks import sources

    coming = sources.announce(name, output, subset)
    told = f"about {fetch.human_size(coming.bytes)}" if coming.bytes else "an unknown amount"
    more = f" and {_count(coming.unknown, 'file')} of unknown size" if coming.unknown else ""
    if coming.wanted:
        say(f"{name}: {_count(len(coming.wanted), 'file')} to fetch, {told}{more}")
        say(f"  into {coming.folder}")
        say("  preparing the dataset takes about as much disk again\n  " + coming.terms)
    files = sources.fetch_dataset(name, output, retries, subset)
    say(f"{name}: {_count(len(files), 'file')} in {coming.folder}")
    place = f" --manual_dir={output}" if output else ""
    run = "roxford5k --distractors=revisitop1m" if name == "revisitop1m" else name
    run += f" --subset={subset}" if subset else ""
    say(f"To evaluate: python -m jaxret.main --dataset={run}{place}")
    return files


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
