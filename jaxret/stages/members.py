"""The encoders of a run: known by their digest without being loaded, one in memory at a time."""

import sys
from dataclasses import dataclass
from typing import Any

from jaxret import models
from jaxret.errors import UserError
from jaxret.models import locations, weights
from jaxret.models.encoder import Encoder
from jaxret.models.registry import ModelSpec
from jaxret.settings import Settings


@dataclass(frozen=True)
class Identity:
    """What an encoder is, as far as keys and reports need it.

    Attributes:
      digest: of its arrays.
    """

    name: str
    spec: ModelSpec
    digest: str


class Encoders:
    """Loads the encoders of a run when they are needed; the largest take gigabytes."""

    def __init__(self) -> None:
        self._held: tuple[Any, Encoder] | None = None
        self._known: dict[Any, Identity] = {}

    def identity(self, name: str, settings: Settings) -> Identity:
        """What converted weights say of themselves; others are loaded once to be asked.

        Raises:
          UserError: an unknown name, or no weights; the sentence says how to get them.
        """
        key = _key(name, settings)
        if key not in self._known:
            self._known[key] = self._identify(name, settings)
        return self._known[key]

    def _identify(self, name: str, settings: Settings) -> Identity:
        if settings.checkpoint is None and settings.weights == "converted":
            spec = models.get(name)
            folder = locations.find(name, settings.weights_dir)
            if folder is not None:
                return Identity(name, spec, weights.read_provenance(folder).digest)
        encoder = self.load(name, settings)  # or the error that says how to get it
        return Identity(name, encoder.spec, encoder.digest())

    def load(self, name: str, settings: Settings) -> Encoder:
        key = _key(name, settings)
        if self._held is None or self._held[0] != key:
            self._held = None  # its memory is needed
            self._held = key, _load(name, settings)
        return self._held[1]


def _key(name: str, settings: Settings) -> tuple[Any, ...]:
    s = settings
    return name, s.weights, s.seed, s.checkpoint, s.arch, s.width, s.weights_dir


def _load(name: str, settings: Settings) -> Encoder:
    if settings.checkpoint:
        from jaxret import convert  # late: only this needs torch

        encoder, report = convert.load_checkpoint(
            settings.checkpoint, settings.arch, settings.width, name=name
        )
        print(report.summary(), file=sys.stderr)  # what was used and what was dropped
        return encoder
    if settings.weights == "random":
        return models.random(name, settings.seed)
    return models.load(name, settings.weights_dir)


def check_names(settings: Settings) -> None:
    """Raises UserError for a member that no registry row has; the sentence lists the nearest."""
    if settings.checkpoint:
        return
    for name in settings.members:
        try:
            models.get(name)
        except UserError as error:
            ensemble = f"--model={settings.model}: " if len(settings.members) > 1 else ""
            raise UserError(f"{ensemble}{error}") from None


def model_row(identity: Identity, settings: Settings) -> dict[str, Any]:
    """What the report states of a model."""
    spec = identity.spec
    source = spec.sources[0] if spec.sources and settings.weights == "converted" else None
    return {
        "name": spec.name,
        "parameters": spec.parameters,
        "weights": settings.weights,
        "source": source.url if source else "",
        "sha256": source.sha256 if source else "",
        "licence": spec.licence,
        "digest": identity.digest,
    }
