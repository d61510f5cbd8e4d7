"""Converts the authors' checkpoint of a model into weights that jaxret loads.

    python tools/convert.py --model=simclr2x --source=resnet50-2x.pth --output=weights/simclr2x

Prints what was used and what was dropped. A file that is refused leaves nothing at the output path;
the sentence says which key, class or file was wrong, and the exit status is 1.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import sys
from typing import Any

from absl import app, flags, logging

from jaxret.cli import command
from jaxret.errors import UserError


def define_flags() -> None:
    flags.DEFINE_string("model", None, "Name of the model, as `jaxret.main --model` has it.")
    flags.DEFINE_string(
        "source",
        None,
        "Checkpoint file, or the prefix of a TensorFlow checkpoint (model.ckpt-225206). "
        "A model of the hub (hf:ID, hf:FOLDER) is its own source.",
    )
    flags.DEFINE_string(
        "checkpoint_key",
        None,
        "Which network of a file that holds several, as the summary names them.",
    )
    flags.DEFINE_list(
        "mean", None, "Of the pixels in [0, 1], instead of what the file states or the model's own."
    )
    flags.DEFINE_list("std", None, "Divides what is left; likewise.")
    flags.DEFINE_enum(
        "stem_pool",
        None,
        ["torch", "same"],
        "Padding of a ResNet's max-pool; unset: SimCLR's TensorFlow files pad as TensorFlow's "
        "SAME, all others as the model says.",
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder to write, default weights/<model>, none for one of the hub; what is there is "
        "replaced.",
    )
    flags.mark_flag_as_required("model")


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.ERROR)  # JAX tells at INFO which backends it did not find
    try:
        model = str(values.model)
        output = values.output or _output(model)
        source = values.source or _source(model)
        options = {
            "key": values.checkpoint_key,
            "stem_pool": values.stem_pool,
            "mean": _numbers("mean", values.mean),
            "std": _numbers("std", values.std),
        }
        print(convert(model, source, output, **options))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _source(model: str) -> str:
    """Of what has no --source: the folder of a model of the hub."""
    from jaxret.models import hub

    if hub.is_hub(model):
        return str(hub.snapshot(model))
    raise UserError(f"Name the checkpoint of {model}: --source=FILE.")


def _output(model: str) -> str:
    from jaxret.models import hub

    if hub.is_hub(model):
        raise UserError(f"Name the folder that {model} is to be written to: --output=FOLDER.")
    return f"weights/{model}"


def _numbers(flag: str, given: list[str] | None) -> list[float] | None:
    try:
        return None if given is None else [float(text) for text in given]
    except ValueError:
        raise UserError(f"--{flag}={','.join(given or [])} must be three numbers.") from None


def convert(model: str, source: str, output: str, **options: Any) -> str:
    """Converts one checkpoint; what to tell the user about it."""
    from jaxret.convert import convert_file  # late: --help needs no JAX

    done = convert_file(model, source, output, **options)
    made = done.provenance
    lines = [
        done.report.summary(),
        f"{made.parameters:,} parameters, digest {made.digest[:16]}, from a {done.form} file",
        "The PCA of the checkpoint is kept: --whitening=checkpoint" if made.whitening else "",
        f"Written to {output}",
    ]
    return "\n".join(line for line in lines if line)


if __name__ == "__main__":
    command.launch(main, define_flags)
