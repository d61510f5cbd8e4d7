"""Command line: flags -> Settings -> run -> table and report.

    python -m jaxret.main --model=simclr4x --dataset=roxford5k
    python -m jaxret.main --suite=table1 --dry_run
    python -m jaxret.main --dataset=FOLDER --query=photo.jpg
    python -m jaxret.main --checkpoint=mine=WORKDIR --model=mine,resnet50+mine
    python -m jaxret.main --dataset=ilias-core --tars=FOLDER/*.tar --save_descriptors=SHARDS

Comma-separated --model, --dataset, --pca_dim, --pooling, --layers, --image_size and --store run
every combination; so does --scales with a colon between the sets (1:1,0.71,0.5).
"""

import sys

from jaxret.runtime import host_memory, preemption

if __name__ == "__main__":
    if not any(argument.lstrip("-").startswith("features") for argument in sys.argv):
        host_memory.keep()  # for the encoder; ranking alone is faster without
    preemption.end_when_told()  # first: what is imported below takes a while

import functools
import itertools
from collections.abc import Sequence
from typing import Any

from absl import flags

from jaxret import checkpoint_flag, presets, ranking_names
from jaxret.cli import command, flag_tables
from jaxret.errors import UserError
from jaxret.settings import TRUE_DIM, Settings

_OF_SUITES = ("model", "dataset", "pca_dim")  # which a suite has values of its own for
# A comma makes one evaluation for each value.
SWEPT = (*_OF_SUITES, "pooling", "layers", "image_size", "store")


def define_flags() -> None:
    flags.DEFINE_string(
        "suite",
        None,
        "Run the paper's tables: table1, table2, table3 or paper; encoders, today's beside the "
        "study's on all datasets that are there; or every pooling of one model: poolings. A "
        "--model, --dataset, --pca_dim or --ranking beside it takes the place of the suite's own.",
    )
    flags.DEFINE_bool(
        "dry_run",
        False,
        "Print what would run, what is there, estimated time and disk; run nothing.",
    )
    flags.DEFINE_bool(
        "download", False, "Fetch and convert what is missing first, from its publisher."
    )
    flags.DEFINE_string(
        "query", None, "Search --dataset for this photograph; no ground truth is needed."
    )
    flags.DEFINE_list("box", None, "Part of --query that is asked for: x1,y1,x2,y2 in its pixels.")
    flags.DEFINE_string(
        "features",
        None,
        "Descriptors of your own, [N, D], instead of a model and photographs: .npy, .npz, .pt, "
        ".mat, .h5 or .csv (FILE#NAME chooses one of several arrays), several of them with commas "
        "or as a pattern, or a folder of --save_descriptors or of ILIAS's published features.",
    )
    flags.DEFINE_string("query_features", None, "Those of the queries, [Q, D], likewise.")
    flags.DEFINE_string(
        "distractor_features",
        None,
        "Descriptors searched beside those of --features, answers to nothing: a folder of --tars, "
        "or .npy of [rows, D] in a folder or by a pattern. They pass in blocks and may be a "
        "hundred million.",
    )
    flags.DEFINE_list(
        "tars",
        None,
        "Describe the photographs in these tar files (WebDataset) as --dataset's are described, a "
        "shard of float16 descriptors each, in --save_descriptors.",
    )
    flags.DEFINE_string(
        "ground_truth",
        None,
        "Which rows answer which query: .pkl, .mat or .json; or ILIAS's folder image_ids, or the "
        "list in it of the distractors that count.",
    )
    command.define_common_flags()
    command.define_flags(Settings, SWEPT, {"ranking": ranking_names.split})
    command.define_help(str(__doc__), flag_tables.MAIN)


def settings_from_flags(values: flags.FlagValues) -> list[Settings]:
    """One Settings for each combination of the swept flags, in the order they were written."""
    fixed: dict[str, Any] = {
        o.name: values[o.name].value for o, _ in Settings.options() if o.name not in SWEPT
    }
    fixed["ranking"] = tuple(fixed["ranking"])
    sets = _scale_sets(fixed.pop("scales"))
    for name in ("mean", "std"):
        if fixed[name] is not None:
            fixed[name] = tuple(_number(text, name) for text in fixed[name])
    said: list[str] = _value(values, "model")
    models = checkpoint_flag.models(fixed["checkpoint"], said, bool(values["model"].present))
    parts = (_value(values, name) or [None] for name in SWEPT[1:])
    every = [
        Settings(
            **fixed,
            model=model,
            dataset=dataset,
            pca_dim=_dimension(dim),
            pooling=pooling,
            layers=layer,
            image_size=_pixels(size),
            store=store,
            scales=scales,
        )
        for model, dataset, dim, pooling, layer, size, store, scales in itertools.product(
            models, *parts, sets
        )
    ]
    return [presets.applied(one, _said(values)) for one in every]


def _said(values: flags.FlagValues) -> list[str]:
    """The settings that were written, which a preset leaves as they are."""
    return [option.name for option, _ in Settings.options() if values[option.name].present]


def _scale_sets(parts: Sequence[str]) -> list[tuple[float, ...]]:
    """The sets of --scales: colons part them, and commas the scales that are pooled."""
    sets = [text.split(",") for text in ",".join(map(str, parts)).split(":")]
    return [tuple(_number(text, "scales") for text in one) for one in sets]


def _value(values: flags.FlagValues, name: str) -> Any:
    return values[name].value


def _chosen(values: flags.FlagValues) -> dict[str, Sequence[Any]]:
    """What was said beside --suite that takes the place of the suite's own."""
    names = [name for name in (*_OF_SUITES, "ranking") if values[name].present]
    chosen: dict[str, Sequence[Any]] = {name: list(_value(values, name)) for name in names}
    if "pca_dim" in chosen:
        chosen["pca_dim"] = [_dimension(text) for text in chosen["pca_dim"]]
    return chosen


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--{flag}={text} must be a number.") from None


def _pixels(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--image_size={text} must be a whole number of pixels.") from None


def _dimension(text: str | None) -> int | str | None:
    if text is None or text == TRUE_DIM:
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--pca_dim={text} must be a whole number or '{TRUE_DIM}'.") from None


def _run(values: flags.FlagValues) -> None:
    """The one thing that the flags ask for."""
    flag_tables.MAIN.check(values)
    every = settings_from_flags(values)
    command.start(values)
    from jaxret.cli import terminal  # late: it imports JAX, and --help must be fast

    flag = functools.partial(_value, values)
    if any(flag(name) for name in ("features", "query_features")):
        if not flag("features"):
            raise UserError("--query_features goes with --features: give both.")
        given = flag("features"), flag("query_features"), flag("ground_truth")
        terminal.evaluate_given(given, every, flag("distractor_features"))
    elif flag("tars"):
        if flag("download"):
            terminal.fetch_missing(every)
        terminal.describe_tars(flag("tars"), every)
    elif flag("query"):
        box = flag("box") and tuple(_number(text, "box") for text in flag("box"))
        if values["ranking"].present and len(flag("ranking")) > 1:
            raise UserError(f"--query takes one ranking, not {','.join(flag('ranking'))}.")
        asked = bool(values["bn_recalibration"].present)
        if flag("download"):
            terminal.fetch_missing(every)
        terminal.search(every, flag("query"), box, recalibration_asked=asked)
    else:
        chosen = _chosen(values) if flag("suite") else {}
        work = terminal.Work(tuple(every), flag("suite"), chosen, _said(values))
        terminal.run(work, flag("download"), flag("dry_run"))


def main(argv: list[str]) -> None:
    command.run(argv, _run)


if __name__ == "__main__":
    command.launch(main, define_flags)
