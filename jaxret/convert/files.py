"""From a checkpoint file to an encoder or to a folder of converted weights, whole or not at all."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxret.convert.generic import from_checkpoint
from jaxret.convert.port import port
from jaxret.convert.reading import Checkpoint, container, read_checkpoint
from jaxret.convert.report import ConversionReport
from jaxret.convert.stated import applied, stated_by
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


def convert_file(
    model: str | ModelSpec,
    source: str | Path,
    output: str | Path,
    key: str | None = None,
    stem_pool: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Conversion:
    """Reads `source`, ports it strictly onto `model`, writes `output`.

    Args:
        model: A name of the registry, or a row.
        source: The checkpoint.
        output: Folder to write.
        key: Which network, where the file holds several; see `port`.
        stem_pool: See `port`.
        mean: Of the pixels, instead of what the file states or the row.
        std: The same.

    Raises:
        UserError: The file cannot be read, is not of this model, or the output cannot be
            replaced. Nothing is left at `output` then.
    """
    spec = get(model) if isinstance(model, str) else model
    check_target(Path(output))
    checkpoint = read_checkpoint(source)
    encoder, report = port_file(spec, checkpoint, key, stem_pool, mean, std)
    provenance = save(
        encoder, Path(output), Path(checkpoint.path).name, source_sha256(checkpoint), report.key
    )
    return Conversion(report, provenance, checkpoint.form)


def port_file(
    spec: ModelSpec,
    checkpoint: Checkpoint,
    key: str | None = None,
    stem_pool: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> tuple[Encoder, ConversionReport]:
    """`port` of a file that was read, whose tensors it takes, with the pixels that it states."""
    spec, notes = applied(spec, stated_by(checkpoint.path, checkpoint.extras), mean, std)
    encoder, report = port(
        spec, checkpoint.mappings, checkpoint.extras, consume=True, key=key, stem_pool=stem_pool
    )
    report.notes += notes
    return encoder, report


def load_checkpoint(
    source: str | Path, arch: str = "resnet50", width: int | None = None, **others: Any
) -> tuple[Encoder, ConversionReport]:
    """The encoder of any ResNet-shaped checkpoint file; arguments as in `from_checkpoint`.

    A mean and std that are not given are those that the file states, or that a config.json beside
    it does, else ImageNet's.
    """
    checkpoint = read_checkpoint(source)
    others.setdefault("name", Path(source).name.split(".")[0])
    stated = stated_by(checkpoint.path, checkpoint.extras)
    return from_checkpoint(
        checkpoint.mappings,
        arch,
        width,
        consume=True,
        extras=checkpoint.extras,
        stated=stated,
        **others,
    )


def source_sha256(checkpoint: Checkpoint) -> str:
    """Of the file; where it is several, one after the other.

    That is a TensorFlow checkpoint's .index and .data files, or an index and the files it names.
    """
    path = Path(checkpoint.path)
    files = [path]
    if checkpoint.form == container.TENSORFLOW:
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        data = [file for file in prefix.parent.iterdir() if _is_data_of(prefix, file)]
        files = [prefix.parent / f"{prefix.name}.index", *sorted(data)]
    elif checkpoint.form == container.SHARDS:
        named = set(json.loads(path.read_text("utf-8"))["weight_map"].values())
        files = [path, *(path.parent / file for file in sorted(named))]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _is_data_of(prefix: Path, file: Path) -> bool:
    return file.name.startswith(f"{prefix.name}.data-")
