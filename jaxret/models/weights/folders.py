"""Encoders of one's own: a folder of converted weights anywhere, or the workdir of a training.

What the folder's provenance.json names decides the network: no row has to be said again.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxret.defaults import CONVENTIONS
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder
from jaxret.models.registry import get
from jaxret.models.spec import ModelSpec
from jaxret.models.weights import loading, locations
from jaxret.models.weights.loading import Provenance

TRAINED = "encoder"  # the folder of a training's workdir that holds what was learnt
RUN = "run.json"  # what a training writes first


@dataclass(frozen=True)
class FolderEncoder:
    """Weights found in a folder, not yet loaded.

    Attributes:
        folder: That holds provenance.json.
        spec: The row that its provenance names.
    """

    folder: Path
    spec: ModelSpec
    provenance: Provenance

    @classmethod
    def find(cls, place: str | Path) -> "FolderEncoder":
        """The weights at `place`.

        Raises:
            UserError: There are none, a training has not finished, or the network is unknown.
        """
        folder = _weights_in(Path(place).expanduser())
        provenance = loading.read_provenance(folder)
        return cls(folder, _row_of(provenance, folder), provenance)

    def load(self) -> Encoder:
        """The encoder, checked against the digest of its provenance."""
        return loading.load_folder(self.spec, self.folder)


def _weights_in(place: Path) -> Path:
    for folder in (place, place / TRAINED):
        if (folder / locations.PROVENANCE).is_file():
            return folder
    if not place.is_dir():
        what = "is no folder" if place.exists() else "is not there"
        raise UserError(f"{place} {what}: give a folder of converted weights or a training's.")
    if (place / TRAINED).is_dir() or (place / RUN).is_file():
        raise UserError(
            f"The training in {place} has not finished: {place / TRAINED} holds no "
            f"{locations.PROVENANCE} yet; let it end, or start it again to go on."
        )
    raise UserError(
        f"{place} holds no converted weights: neither {locations.PROVENANCE}, which "
        f"tools/convert.py writes, nor {TRAINED}/{locations.PROVENANCE}, which a training does."
    )


def _row_of(provenance: Provenance, folder: Path) -> ModelSpec:
    try:
        spec = loading.as_converted(get(provenance.model), provenance)
    except UserError as error:
        raise UserError(f"The weights in {folder} are of a model without a row: {error}") from error
    own = {key: value for key, value in provenance.arguments.items() if key in CONVENTIONS}
    spec = spec.with_conventions(**own)
    stated = provenance.architecture, dict(provenance.arguments)
    if stated != (spec.architecture, {**dict(spec.arguments), **spec.conventions()}):
        raise UserError(
            f"The weights in {folder} are of {stated[0]} with {stated[1]}, and the row "
            f"{spec.name} is {spec.architecture} with {dict(spec.arguments)}."
        )
    return spec
