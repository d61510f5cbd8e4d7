"""Fetches models' checkpoints and the benchmarks' photographs from their publishers.

    python tools/download.py simclr2x mocov2      # checkpoints, into the user's cache
    python tools/download.py roxford5k            # photographs and ground truth
    python tools/download.py --list               # what there is, and under which licence

Interrupted, it goes on where it stopped when the same command is run again. Files are checked
against the published size and checksum before they are given their names.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told()  # first: what is imported below takes a while

import sys

from absl import app, flags

from jaxret.cli import command, downloads
from jaxret.errors import UserError


def define_flags() -> None:
    flags.DEFINE_string(
        "output", None, "Folder for the files. If not given: where jaxret looks for them."
    )
    flags.DEFINE_integer(
        "retries", 6, "Tries in a row without a new byte, after which it gives up.", lower_bound=1
    )
    flags.DEFINE_integer(
        "source", 1, "Which of a model's sources, as --list counts them.", lower_bound=1
    )
    flags.DEFINE_string(
        "subset", None, "Of a database in many archives (gldv2) these alone, such as 0-9,12."
    )
    flags.DEFINE_bool("list", False, "Names everything that can be fetched, and exits.")


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if values.list:
        print(downloads.listing())
        return 0
    if len(argv) < 2:
        raise app.UsageError("Name what to fetch, such as simclr2x or roxford5k; see --list.")
    try:
        wanted = [downloads.check_name(name) for name in argv[1:]]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if any([not _fetched(name) for name in wanted]) else 0


def _fetched(name: str) -> bool:
    values = flags.FLAGS
    from jaxret import models

    try:
        if name in models.names():
            downloads.obtain_model(name, values.output, values.source, values.retries)
        else:
            retries, subset = values.retries, values.subset
            downloads.obtain_dataset(name, values.output, retries, subset=subset)
    except UserError as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    command.launch(main, define_flags)
