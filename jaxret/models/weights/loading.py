"""Converted weights on disk: an Orbax checkpoint with `provenance.json` in the same folder.

Beside them lies `whitening.npz` where the checkpoint came with a PCA of its own. A folder is whole
if it holds provenance.json, which is written last.
"""

import hashlib
import importlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging

from jaxret.errors import UserError
from jaxret.models import hub
from jaxret.models.encoder import Encoder, digest_of, named_arrays, template
from jaxret.models.registry import get
from jaxret.models.spec import Argument, ModelSpec
from jaxret.models.weights import locations

WHITENING = "whitening.npz"


@dataclass(frozen=True)
class Provenance:
    """What a converted checkpoint was made from.

    Attributes:
        model: Name of the row.
        source: Name of the file that was converted; of a training, what it learnt from what.
        source_sha256: Of that file; of a training, the digest of the weights it began with.
        licence: Of the weights.
        jaxret: Version that converted it.
        digest: Of the converted arrays (`Encoder.digest`).
        parameters: Number of trained values.
        architecture: Of the row.
        arguments: Of the architecture.
        whitening: Digest of the PCA beside the weights; empty where there is none.
        files: sha256 over the names and contents of all other files of the folder.
        key: Which of the source's networks it is: its wrapper and prefix, "top" for neither.
        mean: Of the pixels; none in folders of older versions, which have the row's.
        std: The same.
    """

    model: str
    source: str
    source_sha256: str
    licence: str
    jaxret: str
    digest: str
    parameters: int
    architecture: str
    arguments: Mapping[str, Any]
    whitening: str
    files: str
    key: str = ""
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


def load(
    model: str | ModelSpec, weights_dir: str | Path | None = None, **conventions: Argument
) -> Encoder:
    """The encoder of a row with its converted weights, checked against their digest.

    Args:
        model: A name of the registry, a row, or a model of the hub (`hf:facebook/dinov2-base`,
            `hf:FOLDER`), whose own files are read.
        weights_dir: Looked in first; then ./weights, the user's cache, the package.
        **conventions: Of a Vision Transformer: position_resize, patch_fit, rope_periods.

    Raises:
        UserError: Unknown name; no weights (the sentence says the commands that bring them);
            weights that are damaged or belong to another network.
    """
    if isinstance(model, str) and hub.is_hub(model):
        # By its name: the room of the conversion stands on this one.
        encoder: Encoder = importlib.import_module("jaxret.convert.hub").load(model)
    else:
        encoder = _load_converted(get(model) if isinstance(model, str) else model, weights_dir)
    return replace(encoder, spec=encoder.spec.with_conventions(**conventions))


def _load_converted(spec: ModelSpec, weights_dir: str | Path | None) -> Encoder:
    folder = locations.find(spec.name, weights_dir)
    if folder is None:
        raise UserError(_missing(spec, weights_dir))
    return load_folder(spec, folder)


def as_converted(spec: ModelSpec, provenance: Provenance) -> ModelSpec:
    """The row with the padding of the max-pool and the pixels that its checkpoint came with.

    SimCLR's TensorFlow files pad otherwise than its PyTorch files; `tools/convert.py` takes both
    from flags too.
    """
    stem = provenance.arguments.get("stem_pool")
    if stem is not None and stem != dict(spec.arguments).get("stem_pool", "torch"):
        spec = spec.with_arguments(stem_pool=stem)
    if provenance.mean and provenance.std:
        mean, std = ((r, g, b) for r, g, b in (provenance.mean, provenance.std))
        spec = replace(spec, mean=mean, std=std)
    return spec


def load_folder(spec: ModelSpec, folder: Path) -> Encoder:
    """The encoder of `spec` from one folder of converted weights, as they were converted."""
    provenance = read_provenance(folder)
    spec = as_converted(spec, provenance)
    # First: Orbax leaves threads behind, which complain later, where it finds a damaged file.
    if files_digest(folder) != provenance.files:
        raise UserError(f"{_damaged(folder)} (a file is missing or not as it was written).")
    variables = _restore(folder)
    whitening = _load_whitening(folder) if provenance.whitening else None
    if digest_of(variables) != provenance.digest or digest_of(whitening or {}) != (
        provenance.whitening or digest_of({})
    ):
        raise UserError(f"{_damaged(folder)} (the digest of its arrays is another).")
    _check_shapes(spec, variables, folder)
    _to_device(variables)
    return Encoder(spec, variables, whitening=whitening)


def _to_device(tree: dict[str, Any]) -> None:
    """In place, each array before the next, so that large networks are never held twice."""
    for key in tree:
        if isinstance(tree[key], dict):
            _to_device(tree[key])
        else:
            tree[key] = jnp.asarray(tree[key]).block_until_ready()


def read_provenance(folder: Path) -> Provenance:
    """The provenance of a folder of converted weights; UserError where it cannot be read."""
    try:
        return Provenance(**json.loads((folder / locations.PROVENANCE).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{_damaged(folder)} ({error}).") from error


def files_digest(folder: Path) -> str:
    """sha256 over the names and contents of all files of a folder but provenance.json."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name == locations.PROVENANCE or file.name.startswith("."):
            continue  # .DS_Store and the like come and go
        digest.update(f"{name} {file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _restore(folder: Path) -> dict[str, Any]:
    try:
        with orbax_checkpointer() as checkpointer:
            return checkpointer.restore(folder.absolute())
    except Exception as error:  # Orbax and TensorStore raise errors of many kinds
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{_damaged(folder)} ({type(error).__name__}: {reason}).") from error


@contextmanager
def orbax_checkpointer() -> Iterator[Any]:
    """A checkpointer; what Orbax would log about itself is kept from the user's terminal."""
    import orbax.checkpoint as ocp  # late: half of the import time of this module

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        alone = _alone()
        handler = ocp.PyTreeCheckpointHandler(use_compression=False, multiprocessing_options=alone)
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield checkpointer
    finally:
        logging.set_verbosity(verbosity)


def _alone() -> Any:
    """Weights are read and written by each process for itself: Orbax need not wait for others."""
    import jax
    import orbax.checkpoint as ocp

    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )


def _check_shapes(spec: ModelSpec, variables: Mapping[str, Any], folder: Path) -> None:
    wanted = {name: tuple(leaf.shape) for name, leaf in named_arrays(template(spec))}
    found = {name: tuple(leaf.shape) for name, leaf in named_arrays(variables)}
    if wanted != found:
        odd = sorted(set(wanted.items()) ^ set(found.items()))[0][0]
        raise UserError(
            f"The weights in {folder} are not those of {spec.name} (first difference: {odd}); "
            f"convert them again: {locations.commands(spec)[1]}"
        )


def _load_whitening(folder: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(folder / WHITENING, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{_damaged(folder)} ({WHITENING}: {error}).") from error


def _damaged(folder: Path) -> str:
    return f"The weights in {folder} are damaged or incomplete; remove them and convert again"


def _missing(spec: ModelSpec, weights_dir: str | Path | None) -> str:
    download, convert = locations.commands(spec, weights_dir)
    places = ", ".join(str(place) for place in locations.weights_dirs(weights_dir)[:-2])
    return f"No weights of {spec.name} in {places}. Run: {download} && {convert}"
