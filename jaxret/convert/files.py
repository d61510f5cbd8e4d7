"""From a checkpoint file to an encoder or to a folder of converted weights, whole or not at all."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxret.convert.generic import from_checkpoint
from jaxret.convert.port import port
from jaxret.convert.reading import Checkpoint, read_checkpoint
from jaxret.convert.report import ConversionReport
from jaxret.models.encoder import Encoder
from jaxret.models.registry import get
from jaxret.models.spec import ModelSpec
from jaxret.models.weights.loading import Provenance
from jaxret.models.weights.saving import check_target, save


@dataclass(frozen=True)
class Conversion:
    """What `convert_file` did."""

    report: ConversionReport
    provenance: Provenance
    form: str  # of the file, as the reader names it


def convert_file(model: str | ModelSpec, source: str | Path, output: str | Path) -> Conversion:
    """Reads `source`, ports it strictly onto `model`, writes `output`.

    Raises:
        UserError: The file cannot be read, is not of this model, or the output cannot be
            replaced. Nothing is left at `output` then.
    """
    spec = get(model) if isinstance(model, str) else model
    check_target(Path(output))
    checkpoint = read_checkpoint(source)
    encoder, report = port(spec, checkpoint.tensors, checkpoint.extras, consume=True)
    provenance = save(encoder, Path(output), Path(source).name, source_sha256(checkpoint))
    return Conversion(report, provenance, checkpoint.form)


def load_checkpoint(
    source: str | Path, arch: str = "resnet50", width: int | None = None, **others: Any
) -> tuple[Encoder, ConversionReport]:
    """The encoder of any ResNet-shaped checkpoint file; arguments as in `from_checkpoint`."""
    checkpoint = read_checkpoint(source)
    others.setdefault("name", Path(source).name.split(".")[0])
    return from_checkpoint(checkpoint.tensors, arch, width, consume=True, **others)


def source_sha256(checkpoint: Checkpoint) -> str:
    """Of the file; of a TensorFlow checkpoint's .index and .data files, one after the other."""
    path = Path(checkpoint.path)
    files = [path]
    if checkpoint.form == "tensorflow":
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        data = [file for file in prefix.parent.iterdir() if _is_data_of(prefix, file)]
        files = [prefix.parent / f"{prefix.name}.index", *sorted(data)]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _is_data_of(prefix: Path, file: Path) -> bool:
    return file.name.startswith(f"{prefix.name}.data-")
