"""Fetches models' checkpoints and the benchmarks' photographs from their publishers.

    python tools/download.py simclr2x mocov2      # checkpoints, into the user's cache
    python tools/download.py roxford5k            # photographs and ground truth
    python tools/download.py --list               # what there is, and under which licence

Interrupted, it goes on where it stopped when the same command is run again. Files are checked
against the published size and checksum before they are given their names.
"""

import difflib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags

from jaxret.errors import UserError

if TYPE_CHECKING:
    from jaxret.models.delivery import Delivery

_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for the files. If not given: where jaxret looks for them."
)
_RETRIES = flags.DEFINE_integer(
    "retries", 6, "Tries in a row without a new byte, after which it gives up.", lower_bound=1
)
_SOURCE = flags.DEFINE_integer(
    "source", 1, "Which of a model's sources, as --list counts them.", lower_bound=1
)
_LIST = flags.DEFINE_bool("list", False, "Names everything that can be fetched, and exits.")


def main(argv: list[str]) -> int:
    if _LIST.value:
        print(listing())
        return 0
    if len(argv) < 2:
        raise app.UsageError("Name what to fetch, such as simclr2x or roxford5k; see --list.")
    try:
        wanted = [check_name(name) for name in argv[1:]]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if any([not _fetched(name) for name in wanted]) else 0


def _fetched(name: str) -> bool:
    from jaxret import models

    try:
        if name in models.names():
            fetch_model(name, _OUTPUT.value, _SOURCE.value, _RETRIES.value)
        else:
            fetch_dataset(name, _OUTPUT.value, _RETRIES.value)
    except UserError as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    except KeyboardInterrupt:
        print(f"{name}: stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)
    return True


def check_name(name: str) -> str:
    """The name, if it is one of a model or of a dataset; UserError with the nearest otherwise."""
    from jaxret import models
    from jaxret.data import sources

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
    from jaxret.data import sources

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
        lines.append(f"  {name:12}{_count(len(files), 'file')}{told}")
    return "\n".join(lines)


def fetch_model(name: str, output: str | None = None, which: int = 1, retries: int = 6) -> Path:
    """Fetches a checkpoint; says where from, under which licence, and what to do next."""
    from jaxret import fetch, models
    from jaxret.models import delivery

    spec = models.get(name)
    if len(spec.sources) >= which:
        source = spec.sources[which - 1]
        size = f", {fetch.human_size(source.size)}" if source.size is not None else ""
        note = f"\n  {source.note}" if source.note else ""
        print(f"{name}: {source.url}{size}{note}")
        print(f"  licence of the weights: {spec.licence or 'not stated'}")
    got = delivery.fetch_checkpoint(spec, output, which, retries)
    print(f"  {_checked(got)}\n  {got.path}")
    print(f"Next: python tools/convert.py --model={name} --source={shlex.quote(str(got.path))}")
    return got.path


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


def fetch_dataset(name: str, output: str | None = None, retries: int = 6) -> list[Path]:
    """Fetches a benchmark's files; says beforehand how much will come and what disk it takes."""
    from jaxret import fetch
    from jaxret.data import sources

    coming = sources.announce(name, output)
    told = f"about {fetch.human_size(coming.bytes)}" if coming.bytes else "an unknown amount"
    more = f" and {_count(coming.unknown, 'file')} of unknown size" if coming.unknown else ""
    if coming.wanted:
        print(f"{name}: {_count(len(coming.wanted), 'file')} to fetch, {told}{more}")
        print(f"  into {coming.folder}")
        print("  preparing the dataset takes about as much disk again\n  " + coming.terms)
    files = sources.fetch_dataset(name, output, retries)
    print(f"{name}: {_count(len(files), 'file')} in {coming.folder}")
    place = f" --manual_dir={output}" if output else ""
    run = "roxford5k --distractors=revisitop1m" if name == "revisitop1m" else name
    print(f"Next: python -m jaxret.main --dataset={run}{place}")
    return files


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


if __name__ == "__main__":
    app.run(main)
