"""Makes a gnd.json for photographs that are sorted into one folder an instance.

    python tools/make_ground_truth.py --folder=photographs
    python -m jaxret.main --dataset=photographs

The first photograph by name of each instance becomes a query (--queries_per_instance), the others
answer it. Folders `query`, `easy`, `hard` and `junk` inside an instance's folder are taken at their
word; folders whose name begins with `_` hold photographs that nobody asks for. Boxes can be added
to the file afterwards: "bbx": [x1, y1, x2, y2] beside a query's lists.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import json
import os
import sys
from pathlib import Path

from absl import app, flags

from jaxret.cli import command
from jaxret.errors import UserError


def define_flags() -> None:
    flags.DEFINE_string("folder", None, "Folder that holds one folder an instance.")
    flags.DEFINE_integer(
        "queries_per_instance", 1, "Queries of an instance without a folder `query`.", lower_bound=1
    )
    flags.DEFINE_bool("overwrite", False, "Replace a gnd.json that lies there already.")
    flags.mark_flags_as_required(["folder"])


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    try:
        print(
            make(
                Path(str(values.folder)).expanduser(),
                values.queries_per_instance,
                values.overwrite,
            )
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make(folder: Path, queries_per_instance: int = 1, overwrite: bool = False) -> str:
    """Writes `folder`/gnd.json; what to tell the user about it.

    Raises:
      UserError: no folder, nothing to find in it, or a gnd.json that is not to be replaced.
    """
    from jaxret.data.ground_truth.folders import ground_truth_of_folders
    from jaxret.data.photographs import GROUND_TRUTH_FILE
    from jaxret.runtime.artifacts import write_text  # late: --help needs no NumPy

    path = folder / GROUND_TRUTH_FILE
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is no folder.")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{str(folder)!r} cannot be written.")
    if path.exists() and not overwrite:
        raise UserError(f"{str(path)!r} is there already; --overwrite replaces it.")
    made = ground_truth_of_folders(folder, queries_per_instance)
    write_text(path, json.dumps(made.truth) + "\n")
    lines = [f"left out {name}: {reason}" for name, reason in made.unreadable]
    lines += [f"{name}: a single photograph, so nothing asks for it" for name in made.alone]
    counts = f"{len(made.truth['imlist'])} photographs and {len(made.truth['qimlist'])} queries"
    return "\n".join([*lines, f"{counts} written to {path}"])


if __name__ == "__main__":
    command.launch(main, define_flags)
