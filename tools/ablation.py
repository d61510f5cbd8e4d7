"""Sweeps the numbers of the ranking, one at a time, over descriptors: a table and plots.

python tools/ablation.py --features=db.npy --query_features=q.npy --ground_truth=gnd.pkl
python tools/ablation.py ... --sweep=kd=10,50,200 --sweep=gamma=1,3 --dfs=inductive
python tools/ablation.py ... --sweep=sg_m=100,400 --sweep=store=float32,pq64,binary
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from absl import app, flags, logging

from jaxret.cli import command
from jaxret.data.ground_truth import files
from jaxret.errors import UserError
from jaxret.functional.settings import DFS_FORMS, RankingSettings
from jaxret.runs import ablation


def define_flags() -> None:
    flags.DEFINE_string("features", "", ".npy of the database, [photographs, dimensions].")
    flags.DEFINE_string("query_features", "", ".npy of the queries.")
    flags.DEFINE_string("ground_truth", "", "gnd_*.pkl, .mat or gnd.json.")
    flags.DEFINE_multi_string(
        "sweep",
        None,
        f"PARAMETER=VALUE,VALUE,... of {', '.join(ablation.PARAMETERS)}. "
        "If not given: all of them.",
    )
    flags.DEFINE_enum("dfs", "joint", DFS_FORMS, "Form of the diffusion.")
    flags.DEFINE_string("output", "ablation", "Folder for the table and the plots.")


def main(argv: Sequence[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)  # JAX tells at INFO which backends it did not find
    try:
        if not (values.features and values.query_features and values.ground_truth):
            raise UserError("Give --features, --query_features and --ground_truth.")
        truth = files.read(values.ground_truth)
        rows = ablation.ablate(
            np.load(values.query_features, allow_pickle=False),
            np.load(values.features, allow_pickle=False),
            truth.gnd,
            truth.protocols,
            _sweep(values.sweep or ()),
            replace(RankingSettings(), dfs=values.dfs),
        )
    except (UserError, OSError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 1
    print(ablation.as_markdown(rows))
    for path in ablation.write(rows, values.output):
        print(path)
    return 0


def _sweep(texts: Sequence[str]) -> dict[str, Sequence[ablation.Value]]:
    """Out of "kd=10,50"; nothing for all."""
    sweep: dict[str, Sequence[ablation.Value]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if name in ablation.PARAMETERS and ablation.PARAMETERS[name].stores:
            sweep[name] = values.split(",")
            continue
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            raise UserError(f"--sweep={text} is not of the form kd=10,50,200.") from None
        sweep[name] = [int(number) if number.is_integer() else number for number in numbers]
    return sweep


if __name__ == "__main__":
    command.launch(main, define_flags)
