"""Writing converted weights: a whole folder or none, as `loading` reads it."""

import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxret
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, count_parameters, digest_of
from jaxret.models.weights import locations
from jaxret.models.weights.loading import WHITENING, Provenance, files_digest, orbax_checkpointer
from jaxret.runtime.artifacts import flush


def save(
    encoder: Encoder, folder: Path, source: str, source_sha256: str, key: str = ""
) -> Provenance:
    """Writes converted weights whole: beside the target first, then renamed onto it.

    Args:
        encoder: What is written.
        folder: The target.
        source: As in `Provenance`, like the two after it.
        source_sha256: Of the source.
        key: Of the network in the source.

    Raises:
        UserError: `folder` exists and is neither empty nor a folder of converted weights, or
            the disk does not take them.
    """
    folder = folder.absolute()  # Orbax asks for it
    check_target(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            provenance = _write(encoder, Path(beside) / "weights", source, source_sha256, key)
            _replace_folder(Path(beside) / "weights", folder, Path(beside) / "old")
    except OSError as error:
        raise UserError(f"The weights cannot be written to {folder}: {error}.") from error
    return provenance


def _write(encoder: Encoder, folder: Path, source: str, source_sha256: str, key: str) -> Provenance:
    with orbax_checkpointer() as checkpointer:
        try:
            checkpointer.save(folder, jax.tree.map(_Uncopied.of, dict(encoder.variables)))
        except ValueError as error:  # TensorStore's errors of the disk are no OSErrors
            raise OSError(str(error).split("\n")[0][:200]) from error
    # It names a path of this machine; what says that the folder is whole is provenance.json.
    (folder / "commit_success.txt").unlink(missing_ok=True)
    if encoder.whitening is not None:
        # allow_pickle=False, which mypy asks for, is one more array to NumPy before 2.2.
        np.savez(folder / WHITENING, **encoder.whitening)  # type: ignore[arg-type]
    provenance = _provenance(encoder, folder, source, source_sha256, key)
    text = json.dumps(provenance.__dict__, indent=2, sort_keys=True) + "\n"
    (folder / locations.PROVENANCE).write_text(text, "utf-8")
    for file in [*folder.rglob("*"), folder]:
        flush(file)
    return provenance


class _Uncopied(np.ndarray):
    """An array that Orbax, which deep-copies all it writes, does not hold twice."""

    @classmethod
    def of(cls, array: Any) -> np.ndarray:
        return np.asarray(array).view(cls)

    def __deepcopy__(self, memo: Any) -> "_Uncopied":
        return self


def _provenance(
    encoder: Encoder, folder: Path, source: str, source_sha256: str, key: str
) -> Provenance:
    spec = encoder.spec
    return Provenance(
        model=spec.name,
        source=source,
        source_sha256=source_sha256,
        licence=spec.licence,
        jaxret=jaxret.__version__,
        digest=encoder.digest(),
        parameters=count_parameters(encoder.variables["params"]),
        architecture=spec.architecture,
        arguments={**dict(spec.arguments), **spec.conventions()},
        whitening=digest_of(encoder.whitening) if encoder.whitening is not None else "",
        files=files_digest(folder),
        key=key,
        mean=spec.mean,
        std=spec.std,
    )


def _replace_folder(new: Path, folder: Path, old: Path) -> None:
    """Renames cannot replace a folder that holds files: the old one steps aside first."""
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    flush(folder.parent)


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
