"""What rankings found, kept in the workdir: a second run and a resumed one do not rank again.

An outcome is keyed by all that made it: the descriptors of queries and database, the whitening, the
ground truth, the ranking and its numbers. It holds no names, so that it serves whatever tables call
the model.
"""

import dataclasses
import functools
import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.defaults import OTHER_RANKINGS
from jaxret.functional.reranking import RERANKINGS
from jaxret.ranking.placement import on_device, rank_on
from jaxret.ranking.rankings import RankingSettings
from jaxret.ranking_names import step_names
from jaxret.runtime.artifacts import Store, digest, read_arrays, write_arrays, write_json
from jaxret.settings import Settings
from jaxret.stages import storing, whitening
from jaxret.stages.context import RunContext
from jaxret.stages.features import Features

DEPTH = 100  # results of a query that are kept
SCORED = 10  # those that picture sheets show, with their similarity


@dataclass(frozen=True)
class Top:
    """The first results of every query.

    Attributes:
      ids: (Q, at most `depth`), best first.
      similarities: cosines of the first SCORED, (Q, at most SCORED), or None.
      scores: what the ranking orders by, of as many results as were asked for, or None.
    """

    ids: np.ndarray
    similarities: np.ndarray | None = None
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """What one ranking of one evaluation found.

    Attributes:
      figures: one a protocol, without the names of model and dataset.
      unread: positions of photographs left out, of the "database" and of the "queries".
      skipped: their names and reasons.
    """

    figures: list[dict[str, Any]]
    top: Top
    unread: dict[str, list[int]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CachedResults:
    """The outcomes of one evaluation in the workdir, by ranking.

    Attributes:
      database: photographs of the database, unreadable ones included.
      saved: results of a query that the run writes out with their scores: an outcome with fewer is
        made again.
    """

    store: Store
    key: dict[str, Any]
    may_skip: bool
    database: int
    saved: int = 0

    @classmethod
    def of(
        cls,
        features: Sequence[Features],
        settings: Settings,
        how: RankingSettings,
        context: RunContext,
    ) -> "CachedResults":
        dataset = features[0].dataset
        numbers = dataclasses.asdict(how)
        numbers.pop("block_size")  # cannot change a figure
        for name in ("aqe_alpha", "dba_alpha"):  # said by a ranking's name alone
            numbers.pop(name)
        key = {
            "code": _code(
                "jaxret.functional",
                "jaxret.ranking",
                "jaxret.ranking_names",
                "jaxret.evaluation",
                "jaxret.descriptors.whitening",
            ),
            "on_device": _on_device(settings),
            "queries": [one.query_key for one in features],
            "database": [one.database_key for one in features],
            "ground_truth": digest({"gnd": dataset.ground_truth}),
            "protocols": list(dataset.protocols),
            "metrics": list(dataset.metrics),
            "pca": whitening.origin(features, settings, context),
            "numbers": numbers,
            **storing.origin(settings, context),
        }
        may_skip, database = features[0].how.on_bad_image == "skip", len(dataset.database)
        return cls(context.store, key, may_skip, database, settings.saved_ranks(database))

    def file(self, ranking: str) -> Path:
        """What is there when the ranking was written whole."""
        return self.store.place("rankings", self._key(ranking)) / "outcome.json"

    def read(self, ranking: str) -> Outcome | None:
        """What the ranking found before; None where it must be done."""
        file = self.file(ranking)
        if not file.exists():
            return None
        stored = json.loads(file.read_text("utf-8"))
        if stored["skipped"] and not self.may_skip:
            return None  # a run that skips left it: this one is to end at the photograph
        top = Top(**read_arrays(file.parent / "top.npz"))
        if self._too_few(top, stored["unread"], ranking):
            return None
        return Outcome(
            figures=stored["figures"],
            top=top,
            unread=stored["unread"],
            skipped=[(name, reason) for name, reason in stored["skipped"]],
            notes=stored["notes"],
        )

    def _too_few(self, top: Top, unread: dict[str, list[int]], ranking: str) -> bool:
        """Whether the run wants more results, or their scores, than an earlier one kept."""
        wanted = min(self.saved, self.database - len(unread["database"]))
        without = ranking in OTHER_RANKINGS or not RERANKINGS.keys().isdisjoint(step_names(ranking))
        kept = top.ids if top.scores is None and without else top.scores
        return wanted > (0 if kept is None else kept.shape[1])

    def write(self, ranking: str, outcome: Outcome) -> None:
        """Keeps it; outcome.json comes last and says that it is whole."""
        folder: Path = self.store.folder("rankings", self._key(ranking))
        arrays = dataclasses.asdict(outcome.top)
        write_arrays(folder / "top.npz", **{k: v for k, v in arrays.items() if v is not None})
        rest = {k: v for k, v in dataclasses.asdict(outcome).items() if k != "top"}
        write_json(folder / "outcome.json", rest)

    def _key(self, ranking: str) -> dict[str, Any]:
        key = {**self.key, "ranking": ranking}
        if ranking in OTHER_RANKINGS:
            key["its code"] = _code(OTHER_RANKINGS[ranking].split(":")[0])
        return key


@functools.cache
def _code(*modules: str) -> str:
    """Digest of the source of modules and packages: changed code never meets an old outcome."""
    whole = hashlib.sha256()
    for name in modules:
        file = Path(str(importlib.import_module(name).__file__))
        for source in sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]:
            whole.update(source.read_bytes())
    return whole.hexdigest()


def _on_device(settings: Settings) -> bool:
    """The order of scores that rounding alone tells apart can differ from the host's."""
    with rank_on(settings.rank_on):
        return on_device()
