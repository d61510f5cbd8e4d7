"""Writes an encoder back to a PyTorch state dict.

    python tools/export.py --model=simclr2x --output=simclr2x.pth
    python tools/export.py --checkpoint=WORKDIR --output=mine.safetensors

The names are those of the row's layout: torchvision's for every ResNet without a head of its own
(SimCLR, MoCo, BYOL and the others among them, whatever their authors' files looked like),
deep-image-retrieval's for GeM(AP) (with adpool.p and fc), the authors' for AMDIM (layer_list.0...)
and those of its PyTorch port for EfficientNet-Lite0 (_conv_stem...). No prefix stands before them.
Classifiers, projection heads and queues were dropped by the conversion and are not in the file;
num_batches_tracked is 0. What is refused leaves nothing at the output path, with exit status 1.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import sys
from pathlib import Path

from absl import app, flags, logging

from jaxret.cli import command
from jaxret.errors import UserError


def define_flags() -> None:
    flags.DEFINE_string("model", None, "A model of the registry, with its converted weights.")
    flags.DEFINE_string(
        "checkpoint", None, "Instead: a folder of converted weights, or the workdir of a training."
    )
    flags.DEFINE_string(
        "weights_dir", None, "Where those of --model lie (default: ./weights, the user's cache)."
    )
    flags.DEFINE_string("output", None, "File to write, .pth or .safetensors.")
    flags.mark_flags_as_required(["output"])


def main(argv: list[str]) -> int:
    values = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.ERROR)  # JAX tells at INFO which backends it did not find
    try:
        if bool(values.model) == bool(values.checkpoint):
            raise UserError("Give either --model=NAME or --checkpoint=FOLDER.")
        output = Path(str(values.output))
        print(export(values.model, values.checkpoint, values.weights_dir, output))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def export(model: str | None, checkpoint: str | None, weights_dir: str | None, output: Path) -> str:
    """Exports one encoder; what to tell the user about it."""
    from jaxret import models  # late: --help needs no JAX
    from jaxret.convert import export as exporting
    from jaxret.models.weights.folders import FolderEncoder

    exporting.check_output(output.expanduser())  # before gigabytes are read
    if checkpoint is not None:
        encoder = FolderEncoder.find(checkpoint).load()
    else:
        encoder = models.load(str(model), weights_dir)
    done = exporting.export_file(encoder, output)
    lines = [
        f"{encoder.spec.name}: {done.arrays} arrays in the names of the layout {done.layout}",
        *done.notes,
        f"Written to {output}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    command.launch(main, define_flags)
