"""The encoders of a run: known by their digest without being loaded, one in memory at a time."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxret import checkpoint_flag, models
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder
from jaxret.models.hub import is_hub, is_snapshot
from jaxret.models.spec import HUB, ModelSpec
from jaxret.models.weights import loading, locations
from jaxret.models.weights.folders import FolderEncoder
from jaxret.settings import Settings


@dataclass(frozen=True)
class Origin:
    """Where an encoder of one's own came from.

    Attributes:
      place: file or folder, as it was given.
      network: the row or architecture that it is read as.
      source: what its weights were made from.
      sha256: of that, where it is known.
    """

    place: str
    network: str
    source: str
    sha256: str = ""


@dataclass(frozen=True)
class Identity:
    """What an encoder is, as far as keys and reports need it.

    Attributes:
      name: as the settings call it.
      digest: of its arrays.
      origin: None for a row of the registry.
      notes: what was assumed or chosen when it was read, where that is not its row's.
    """

    name: str
    spec: ModelSpec
    digest: str
    origin: Origin | None = None
    notes: tuple[str, ...] = ()


class Encoders:
    """Loads the encoders of a run when they are needed; the largest take gigabytes."""

    def __init__(self) -> None:
        self._held: tuple[Any, Encoder] | None = None
        self._known: dict[Any, Identity] = {}
        self._assumed: dict[Any, tuple[str, ...]] = {}  # of files, when they were read

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
        place = settings.checkpoints.get(name)
        if place is not None and checkpoint_flag.is_folder(place) and not is_snapshot(place):
            found = FolderEncoder.find(place)
            stated = found.provenance
            origin = Origin(place, stated.model, stated.source, stated.source_sha256)
            spec = found.spec.with_conventions(**settings.conventions)
            return Identity(name, spec, stated.digest, origin)
        if place is None and settings.weights == "converted" and not is_hub(name):
            spec = models.get(name).with_conventions(**settings.conventions)
            folder = locations.find(name, settings.weights_dir)
            if folder is not None:
                stated = loading.read_provenance(folder)
                made = loading.as_converted(spec, stated)
                return Identity(name, made, stated.digest, notes=_unlike(spec, made))
        encoder = self.load(name, settings)  # or the error that says how to get it
        network = "a model of the hub" if place and is_snapshot(place) else settings.arch
        origin_of_file = Origin(place, network, Path(place).name) if place else None
        notes = self._assumed.get(_key(name, settings), ())
        return Identity(name, encoder.spec, encoder.digest(), origin_of_file, notes)

    def load(self, name: str, settings: Settings) -> Encoder:
        """The encoder; the last one asked for is kept.

        Raises:
          UserError: it cannot be read, or is no longer what `identity` found.
        """
        key = _key(name, settings)
        if self._held is None or self._held[0] != key:
            self._held = None  # its memory is needed
            encoder, self._assumed[key] = _load(name, settings)
            spec = encoder.spec.with_conventions(**settings.conventions)
            encoder = replace(encoder, spec=spec)
            known, place = self._known.get(key), settings.checkpoints.get(name)
            if place and known and known.digest != encoder.digest():
                raise UserError(f"{place} has changed since this run began: start it again.")
            self._held = key, encoder
        return self._held[1]


def _key(name: str, settings: Settings) -> tuple[Any, ...]:
    s = settings
    file = s.checkpoint, s.arch, s.width, s.checkpoint_key, s.mean, s.std, s.stem_pool
    return name, s.weights, s.seed, s.weights_dir, *file, *s.conventions.items()


def _load(name: str, settings: Settings) -> tuple[Encoder, tuple[str, ...]]:
    """The encoder, and what was assumed of the file that it came from."""
    place = settings.checkpoints.get(name)
    if place is not None and is_snapshot(place):
        return models.load(f"{HUB}{place}"), ()
    if place is not None and checkpoint_flag.is_folder(place):
        _refuse_flags_of_files(place, settings)
        return FolderEncoder.find(place).load(), ()
    if place is not None:
        from jaxret import convert  # late: only this needs torch

        s = settings
        encoder, report = convert.load_checkpoint(
            place,
            s.arch,
            s.width,
            name=name,
            key=s.checkpoint_key_of(name),
            mean=s.mean,
            std=s.std,
            stem_pool=s.stem_pool,
        )
        print(report.summary(), file=sys.stderr)  # what was used and what was dropped
        return encoder, tuple(report.notes)
    if settings.weights == "random":
        return models.random(name, settings.seed), ()
    return models.load(name, settings.weights_dir), ()


def _refuse_flags_of_files(place: str, settings: Settings) -> None:
    """Converted weights know their pixels and padding, and are of one network."""
    for flag in checkpoint_flag.OF_FILES:
        if getattr(settings, flag) is not None and len(settings.checkpoints) == 1:
            raise UserError(
                f"--{flag} is of a checkpoint file, and {place} holds converted weights: say it to "
                "tools/convert.py."
            )


def _unlike(row: ModelSpec, made: ModelSpec) -> tuple[str, ...]:
    """In what converted weights are of another network, or pixels, than their row says."""
    parts = []
    if row.arguments != made.arguments:
        parts.append(f"its max-pool padded as {_stem(made)} (its row: {_stem(row)})")
    for field in ("mean", "std"):
        own, other = getattr(made, field), getattr(row, field)
        if own != other:
            parts.append(f"{field} {own} (its row: {other})")
    return (f"{row.name} was converted with {'; '.join(parts)}.",) if parts else ()


def _stem(row: ModelSpec) -> str:
    return str(dict(row.arguments).get("stem_pool", "torch"))


def check_names(every: Iterable[Settings]) -> None:
    """Holds the names of models against the registry and what --checkpoint gives.

    Raises:
      UserError: a name that nothing has (the sentence lists the nearest), or that two have.
    """
    meant: dict[tuple[str, str], str] = {}
    for settings in every:
        own = checkpoint_flag.named(settings.checkpoint or "") or {}
        for name in own:
            _check_free(name)
        for name in settings.members:
            place = settings.checkpoints.get(name, "")
            other = meant.setdefault((name, settings.weights), place)
            if other != place:
                places = " and ".join(one or "the model of that name" for one in (other, place))
                raise UserError(f"Two encoders are called {name}: {places}; rename one.")
            if not place:
                _check_known(name, settings, own)


def _check_free(name: str) -> None:
    if name in models.names():
        raise UserError(
            f"--checkpoint calls an encoder {name}, which is the name of a model already: "
            "give it another."
        )


def _check_known(name: str, settings: Settings, own: Iterable[str]) -> None:
    try:
        models.get(name)
    except UserError as error:
        ensemble = f"--model={settings.model}: " if len(settings.members) > 1 else ""
        given = f" From --checkpoint: {', '.join(own)}." if own else ""
        raise UserError(f"{ensemble}{error}{given}") from None


def model_row(identity: Identity, settings: Settings) -> dict[str, Any]:
    """What the report states of a model; of one's own, nothing that its row says of others."""
    spec, origin = identity.spec, identity.origin
    row: dict[str, Any] = {"name": identity.name, "parameters": spec.parameters}
    if origin is not None:
        row |= {"weights": "one's own", "checkpoint": origin.place, "network": origin.network}
        row |= {"source": origin.source, "sha256": origin.sha256, "licence": ""}
    else:
        source = spec.sources[0] if spec.sources and settings.weights == "converted" else None
        row |= {"weights": settings.weights, "source": source.url if source else ""}
        row |= {"sha256": source.sha256 if source else "", "licence": spec.licence}
    return {**row, **spec.conventions(), "digest": identity.digest}


def origin_note(identity: Identity) -> str:
    """A sentence on an encoder of one's own, or on what is not as its row; empty for the rest."""
    origin = identity.origin
    if origin is None:
        return " ".join(identity.notes)
    made = "" if Path(origin.place).name == origin.source else f", {origin.source}"
    assumed = "".join(f"; {note}" for note in identity.notes)
    return f"{identity.name}: {origin.network}{made}, from {origin.place}{assumed}."
