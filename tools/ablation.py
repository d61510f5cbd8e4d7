"""What each setting matters, one changed at a time: a table, with plots where ranking is swept.

Of an evaluation, with the interval of each difference (docs/presets.md); any flag of jaxret.main:

    python tools/ablation.py --preset=dinov2 --model=dinov2-base --dataset=roxford5k \
        --vary=query_crop,pooling,image_size,position_resize
    python tools/ablation.py --preset=dino --vary=image_size=224:448,scales=1:1+0.71+0.5

Of the ranking's numbers, over descriptors:

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

from jaxret import main as evaluation
from jaxret import ranking_names
from jaxret.cli import command
from jaxret.data.ground_truth import files
from jaxret.errors import UserError
from jaxret.functional.settings import RankingSettings
from jaxret.runs import ablation, variations
from jaxret.settings import Settings

_OF_DESCRIPTORS = ("features", "query_features", "ground_truth", "sweep")


def define_flags() -> None:
    flags.DEFINE_list(
        "vary",
        None,
        "Settings to change, one at a time: NAME for all its values, NAME=VALUE:VALUE for some.",
    )
    flags.DEFINE_string("features", "", ".npy of the database, [photographs, dimensions].")
    flags.DEFINE_string("query_features", "", ".npy of the queries.")
    flags.DEFINE_string("ground_truth", "", "gnd_*.pkl, .mat or gnd.json.")
    flags.DEFINE_multi_string(
        "sweep",
        None,
        f"PARAMETER=VALUE,VALUE,... of {', '.join(ablation.PARAMETERS)}. "
        "If not given: all of them.",
    )
    flags.DEFINE_string("output", "ablation", "Folder for the table and the plots.")
    command.define_flags(Settings, evaluation.SWEPT, {"ranking": ranking_names.split})


def main(argv: Sequence[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)  # JAX tells at INFO which backends it did not find
    try:
        paths = _of_settings(values) if values.vary else _of_descriptors(values)
    except (UserError, OSError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 1
    for path in paths:
        print(path)
    return 0


def _of_settings(values: flags.FlagValues) -> Sequence[object]:
    """Varies an evaluation; without --ranking, global search alone."""
    _refuse(values, _OF_DESCRIPTORS, "--vary")
    every = evaluation.settings_from_flags(values)
    if not values["ranking"].present:
        every = [replace(one, ranking=("G",)) for one in every]
    rows, reasons = variations.vary(every, variations.wanted(values.vary), _tell)
    print(variations.as_markdown(rows))
    for reason in reasons:
        print(f"Not run: {reason}")
    return variations.write(rows, values.output)


def _of_descriptors(values: flags.FlagValues) -> Sequence[object]:
    """Sweeps the ranking over descriptors that are there."""
    if not (values.features and values.query_features and values.ground_truth):
        raise UserError(
            "Give --vary=SETTING,... for an evaluation, or --features, --query_features and "
            "--ground_truth for descriptors."
        )
    of_evaluations = [o.name for o, _ in Settings.options() if o.name != "dfs"]
    _refuse(values, of_evaluations, "--features")
    truth = files.read(values.ground_truth)
    rows = ablation.ablate(
        np.load(values.query_features, allow_pickle=False),
        np.load(values.features, allow_pickle=False),
        truth.gnd,
        truth.protocols,
        _sweep(values.sweep or ()),
        replace(RankingSettings(), dfs=values.dfs),
    )
    print(ablation.as_markdown(rows))
    return ablation.write(rows, values.output)


def _refuse(values: flags.FlagValues, names: Sequence[str], beside: str) -> None:
    wrong = [f"--{name}" for name in names if values[name].present]
    if wrong:
        raise UserError(f"{', '.join(wrong)} has no effect beside {beside}: leave it out.")


def _tell(line: str) -> None:
    print(f"ablation: {line}", file=sys.stderr, flush=True)


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
