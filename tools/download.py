"""Fetches models' checkpoints and the benchmarks' photographs from their publishers.

    python tools/download.py simclr2x mocov2      # checkpoints, into the user's cache
    python tools/download.py roxford5k            # photographs and ground truth
    python tools/download.py --list               # what there is, and under which licence

Interrupted, it goes on where it stopped when the same command is run again. Files are checked
against the published size and checksum before they are given their names.
"""

import sys

from absl import app, flags

from jaxret.cli import downloads
from jaxret.errors import UserError

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
    from jaxret import models

    try:
        if name in models.names():
            downloads.obtain_model(name, _OUTPUT.value, _SOURCE.value, _RETRIES.value)
        else:
            downloads.obtain_dataset(name, _OUTPUT.value, _RETRIES.value)
    except UserError as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    except KeyboardInterrupt:
        print(f"{name}: stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)
    return True


if __name__ == "__main__":
    app.run(main)
