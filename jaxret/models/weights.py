"""Converted weights on disk: an Orbax checkpoint with `provenance.json` in the same folder.

Beside them lies `whitening.npz` where the checkpoint came with a PCA of its own. A folder is whole
if it holds provenance.json, which is written last.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jaxret.errors import UserError
from jaxret.models import locations
from jaxret.models.encoder import Encoder, count_parameters, digest_of, named_arrays, template
from jaxret.models.registry import ModelSpec, get

_WHITENING = "whitening.npz"


@dataclass(frozen=True)
class Provenance:
    """What a converted checkpoint was made from.

    Attributes:
        model: Name of the row.
        source: Name of the file that was converted.
        source_sha256: Of that file.
        licence: Of the weights.
        jaxret: Version that converted it.
        digest: Of the converted arrays (`Encoder.digest`).
        parameters: Number of trained values.
        architecture: Of the row.
        arguments: Of the architecture.
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


def load(model: str | ModelSpec, weights_dir: str | Path | None = None) -> Encoder:
    """The encoder of a row with its converted weights, checked against their digest.

    Args:
        model: A name of the registry, or a row.
        weights_dir: Looked in first; then ./weights, the user's cache, the package.

    Raises:
        UserError: Unknown name; no weights (the sentence says the commands that bring them);
            weights that are damaged or belong to another network.
    """
    spec = get(model) if isinstance(model, str) else model
    folder = locations.find(spec.name, weights_dir)
    if folder is None:
        raise UserError(_missing(spec, weights_dir))
    return load_folder(spec, folder)


def load_folder(spec: ModelSpec, folder: Path) -> Encoder:
    """The encoder of `spec` from one folder of converted weights."""
    provenance = read_provenance(folder)
    variables = _restore(folder)
    if digest_of(variables) != provenance.digest:
        raise UserError(f"{_damaged(folder)} (the digest of its arrays is another).")
    _check_shapes(spec, variables, folder)
    return Encoder(spec, jax.tree.map(jnp.asarray, variables), whitening=_load_whitening(folder))


def read_provenance(folder: Path) -> Provenance:
    """The provenance of a folder of converted weights; UserError where it cannot be read."""
    try:
        return Provenance(**json.loads((folder / locations.PROVENANCE).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{_damaged(folder)} ({error}).") from error


def save(encoder: Encoder, folder: Path, source: str, source_sha256: str) -> Provenance:
    """Writes converted weights whole: beside the target first, then renamed onto it.

    Raises:
        UserError: `folder` exists and is neither empty nor a folder of converted weights.
    """
    folder = folder.absolute()  # Orbax asks for it
    check_target(folder)
    spec = encoder.spec
    provenance = Provenance(
        model=spec.name,
        source=source,
        source_sha256=source_sha256,
        licence=spec.licence,
        jaxret=_version(),
        digest=encoder.digest(),
        parameters=count_parameters(encoder.variables["params"]),
        architecture=spec.architecture,
        arguments=dict(spec.arguments),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write(encoder, provenance, temporary / "weights")
        _replace_folder(temporary / "weights", folder, temporary / "old")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return provenance


def _write(encoder: Encoder, provenance: Provenance, folder: Path) -> None:
    with _orbax() as checkpointer:
        checkpointer.save(folder, jax.tree.map(np.asarray, dict(encoder.variables)))
    # It names a path of this machine; what says that the folder is whole is provenance.json.
    (folder / "commit_success.txt").unlink(missing_ok=True)
    if encoder.whitening is not None:
        np.savez(folder / _WHITENING, allow_pickle=False, **encoder.whitening)
    text = json.dumps(provenance.__dict__, indent=2, sort_keys=True) + "\n"
    (folder / locations.PROVENANCE).write_text(text, "utf-8")
    for file in [*folder.rglob("*"), folder]:
        _fsync(file)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_folder(new: Path, folder: Path, old: Path) -> None:
    """Renames cannot replace a folder that holds files: the old one steps aside first."""
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _fsync(folder.parent)


def check_target(folder: Path) -> None:
    """UserError unless converted weights may be written at `folder`."""
    if not folder.exists():
        return
    if not folder.is_dir() or (
        any(folder.iterdir()) and not (folder / locations.PROVENANCE).is_file()
    ):
        raise UserError(
            f"{folder} exists and does not hold converted weights, so it will not be replaced; "
            "name another output folder or remove it."
        )


def _restore(folder: Path) -> dict[str, Any]:
    try:
        with _orbax() as checkpointer:
            return checkpointer.restore(folder.absolute())
    except Exception as error:  # Orbax and TensorStore raise errors of many kinds
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{_damaged(folder)} ({type(error).__name__}: {reason}).") from error


@contextmanager
def _orbax() -> Iterator[Any]:
    """A checkpointer; what Orbax would log about itself is kept from the user's terminal."""
    import orbax.checkpoint as ocp  # late: half of the import time of this module

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            yield checkpointer
    finally:
        logging.set_verbosity(verbosity)


def _check_shapes(spec: ModelSpec, variables: Mapping[str, Any], folder: Path) -> None:
    wanted = {name: tuple(leaf.shape) for name, leaf in named_arrays(template(spec))}
    found = {name: tuple(leaf.shape) for name, leaf in named_arrays(variables)}
    if wanted != found:
        odd = sorted(set(wanted.items()) ^ set(found.items()))[0][0]
        raise UserError(
            f"The weights in {folder} are not those of {spec.name} (first difference: {odd}); "
            f"convert them again: {locations.commands(spec)[1]}"
        )


def _load_whitening(folder: Path) -> dict[str, np.ndarray] | None:
    file = folder / _WHITENING
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _damaged(folder: Path) -> str:
    return f"The weights in {folder} are damaged or incomplete; remove them and convert again"


def _missing(spec: ModelSpec, weights_dir: str | Path | None) -> str:
    download, convert = locations.commands(spec, weights_dir)
    places = ", ".join(str(place) for place in locations.weights_dirs(weights_dir)[:-2])
    return f"No weights of {spec.name} in {places}. Run: {download} && {convert}"


def _version() -> str:
    import jaxret

    return jaxret.__version__
