r"""Makes small synthetic JPEGs under all the real names of a benchmark, from its ground truth.

    python tools/make_stand_ins.py --dataset=roxford5k --ground_truth=gnd_roxford5k.pkl \
        --output=data/manual

The ground truth is put beside them, so that `data` can be given as --data_dir.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import shutil
import sys
from pathlib import Path

from absl import app, flags

from jaxret.cli import command
from jaxret.data.benchmarks import registry, stand_ins
from jaxret.data.benchmarks.rows import study
from jaxret.data.ground_truth import files
from jaxret.errors import UserError

_NAMES = [row.name for row in study.ROWS]  # those whose ground truth is a file


def define_flags() -> None:
    flags.DEFINE_enum("dataset", "roxford5k", _NAMES, "Whose names.")
    flags.DEFINE_string("ground_truth", "", "Its official ground-truth file.")
    flags.DEFINE_string("output", "", "Folder to write to.")
    flags.DEFINE_bool("archives", False, "Write the official archives, not loose files.")
    flags.mark_flags_as_required(["dataset", "ground_truth", "output"])


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    row = registry.get(values.dataset)
    output, file = Path(values.output), Path(values.ground_truth)
    try:
        truth = files.read(file, row.name)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    count = stand_ins.make(truth, row.builder, output, archives=values.archives)
    assert row.ground_truth is not None
    target = output / (Path(row.ground_truth.file).stem + file.suffix)
    if not target.exists():
        shutil.copyfile(file, target)
    print(f"{count} stand-ins for the photographs of {row.builder} and {target.name} in {output}")
    return 0


if __name__ == "__main__":
    command.launch(main, define_flags)
