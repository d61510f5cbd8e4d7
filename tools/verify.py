"""Holds an encoder of jaxret against its PyTorch twin on real photographs, stage by stage.

    python tools/verify.py --model=simclr2x
    python tools/verify.py --model=mocov2 --checkpoint=moco_v2_800ep_pretrain.pth.tar
    python tools/verify.py --model=all --image_size=224 --json=verified.json

Without --checkpoint the twin gets random weights with non-trivial BN statistics, which are written
to a file as the model's authors write theirs; from there on the way is the same: the file through
the converter to weights on disk, these loaded, and both networks run. The exit status is 1 if a
map differs by more than 1e-5 of its largest value, or if the converter refuses the file.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags, logging

from jaxret.cli import command
from jaxret.errors import UserError

if TYPE_CHECKING:
    from jaxret.models import ModelSpec


def define_flags() -> None:
    flags.DEFINE_string("model", None, "Name of the model, several with commas, or 'all'.")
    flags.DEFINE_string(
        "checkpoint", None, "The authors' file. If not given: random weights in their form."
    )
    flags.DEFINE_string(
        "image_size",
        None,
        "Pixels a side, or HEIGHTxWIDTH. If not given: the model's own, 724 up to 100 million"
        " parameters, 224 beyond.",
    )
    flags.DEFINE_integer("photographs", 2, "How many.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the random weights.", lower_bound=0)
    flags.DEFINE_bool(
        "float64", False, "Also measures how far each framework is from float64 arithmetic."
    )
    flags.DEFINE_string("json", None, "File to write the figures to.")
    flags.mark_flag_as_required("model")


_LARGE = 100_000_000  # parameters, beyond which 724 pixels take minutes and gigabytes on a CPU


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.ERROR)  # JAX tells at INFO which backends it did not find
    try:
        specs = _specs(values.model or "", values.checkpoint)
        sizes = [_size(values.image_size, spec) for spec in specs]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return _verify_all(specs, sizes)


def _verify_all(specs: "list[ModelSpec]", sizes: list[tuple[int, int]]) -> int:
    values = flags.FLAGS
    from verification import describe, summarize, to_json, verify

    from jaxret.runtime.artifacts import write_json

    verdicts, refused = [], []
    for spec, size in zip(specs, sizes, strict=True):
        try:
            verdict = verify(
                spec,
                values.checkpoint,
                size,
                values.photographs,
                values.seed,
                values.float64,
            )
        except UserError as error:
            print(f"error: {spec.name}: {error}", file=sys.stderr)
            refused.append((spec.name, str(error)))
            continue
        verdicts.append(verdict)
        print(describe(verdict, colour=sys.stdout.isatty()) + "\n", flush=True)
    if len(specs) > 1:
        print(summarize(verdicts, refused))
    if values.json:
        write_json(Path(values.json), to_json(verdicts, refused))
    return 0 if to_json(verdicts, refused)["passed"] else 1


def _specs(model: str, checkpoint: str | None) -> "list[ModelSpec]":
    from jaxret import models

    names = list(models.names()) if model == "all" else [name for name in model.split(",") if name]
    if checkpoint is not None and len(names) != 1:
        raise UserError("A checkpoint is of one model: name that one with --model.")
    return [models.get(name) for name in names]


def _size(value: str | None, spec: "ModelSpec") -> tuple[int, int]:
    from jaxret.defaults import IMAGE_SIZE

    if value is None:
        side = 224 if spec.parameters > _LARGE else spec.image_size or IMAGE_SIZE
        return side, side
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise UserError(f"--image_size={value} is no size. Write 224 or 333x517 (height first).")
    return int(sides[0]), int(sides[-1])


if __name__ == "__main__":
    command.launch(main, define_flags)
