"""Where the descriptors of a split lie in the workdir, and which of them are still to be made.

A shard holds consecutive photographs and is written whole or not at all. The folder of a published
benchmark is keyed by all its photographs. The photographs of a user's folder come and go: there the
folder is keyed by what made the descriptors alone, each row by the content of its photograph, and
only what is new or has changed is made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.data.dataset import FileSplit, Split
from jaxret.runtime.artifacts import Store, read_arrays

SHARD = 64  # photographs that a killed run loses at most


@dataclass(frozen=True)
class Descriptors:
    """R-MAC vectors of a split's readable photographs, in the split's order.

    Attributes:
      vectors: (n, C) float32, not normalised.
      indices: (n,) positions in the split.
      skipped: name and reason of each photograph left out.
      made: how many were made now; the others lay in the workdir.
    """

    vectors: np.ndarray
    indices: np.ndarray
    skipped: tuple[tuple[str, str], ...]
    made: int = 0

    @property
    def reused(self) -> bool:
        """Whether all of them lay in the workdir already."""
        return self.made == 0


@dataclass(frozen=True)
class Shard:
    """One file of descriptors and the photographs that must be in it or in an earlier one."""

    path: Path
    photographs: range


@dataclass(frozen=True)
class StoredSplit:
    """The descriptors of one split as files.

    Attributes:
      key: what made them, as plain data.
      contents: what tells each photograph from the others of the folder.
      by_content: whether photographs of other shards of the folder count.
    """

    key: Mapping[str, Any]
    folder: Path
    shards: tuple[Shard, ...]
    contents: tuple[str, ...]
    by_content: bool

    @classmethod
    def of(
        cls, split: Split, key: Mapping[str, Any], store: Store, shard: int = SHARD
    ) -> "StoredSplit":
        """The place of a split's descriptors that `key` makes; nothing is written."""
        by_content = isinstance(split, FileSplit)
        if isinstance(split, FileSplit):
            contents = tuple(
                _digest(digest, box)
                for digest, box in zip(split.digests(), split.boxes, strict=True)
            )
            key = {**key, "split": "by the content of each photograph"}
        else:
            contents = tuple(map(str, range(len(split))))
            key = {**key, "split": split.fingerprint()}
        folder = store.place("features", key)
        ranges = [
            range(start, min(start + shard, len(split))) for start in range(0, len(split), shard)
        ]
        names = [
            _digest(*split.names[part.start : part.stop], *contents[part.start : part.stop])[:20]
            if by_content
            else f"{part.start:08d}"
            for part in ranges
        ]
        shards = tuple(
            Shard(folder / f"shard-{name}.npz", part)
            for name, part in zip(names, ranges, strict=True)
        )
        return cls(key, folder, shards, contents, by_content)

    def missing(self) -> list[tuple[Shard, list[int]]]:
        """Each shard that is not there, with the positions that no other file holds."""
        absent = [shard for shard in self.shards if not shard.path.exists()]
        known = self._known() if absent and self.by_content else set()
        return [(shard, self._new(shard, known)) for shard in absent]

    def _new(self, shard: Shard, known: set[str]) -> list[int]:
        first = {self.contents[i]: i for i in reversed(shard.photographs)}
        return sorted(i for content, i in first.items() if content not in known)

    def _known(self) -> set[str]:
        known: set[str] = set()
        for path in self.folder.glob("shard-*.npz"):
            with np.load(path, allow_pickle=False) as stored:
                known.update(stored["contents"].tolist())
        return known

    def read(self, made: int = 0) -> Descriptors:
        """The descriptors, once every shard is there."""
        own = [shard.path for shard in self.shards]
        others = sorted(set(self.folder.glob("shard-*.npz")) - set(own)) if self.by_content else []
        files = [read_arrays(path) for path in (*own, *others)]
        stored = [content for file in files for content in file["contents"].tolist()]
        row_of = dict(zip(reversed(stored), reversed(range(len(stored))), strict=True))
        indices = [i for i, content in enumerate(self.contents) if content in row_of]
        rows = [row_of[self.contents[i]] for i in indices]
        whole = [file["vectors"] for file in files if len(file["vectors"])]
        vectors = np.concatenate(whole or [np.zeros((0, 1), np.float32)])
        skipped = np.concatenate([file["skipped"] for file in files[: len(own)]])
        return Descriptors(
            vectors=vectors if rows == list(range(len(vectors))) else vectors[rows],
            indices=np.asarray(indices, np.int64),
            skipped=tuple((str(name), str(reason)) for name, reason in skipped),
            made=made,
        )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def shard_arrays(
    stored: StoredSplit,
    indices: Sequence[np.ndarray],
    rows: Sequence[np.ndarray],
    skipped: Sequence[tuple[str, str]],
    channels: int,
) -> dict[str, np.ndarray]:
    """What a shard's file holds, in the order of the split."""
    places = np.concatenate([*indices, np.zeros(0, np.int64)]).astype(np.int64)
    vectors = np.concatenate([*rows, np.zeros((0, channels), np.float32)])
    order = np.argsort(places)  # photographs that keep their aspect come grouped by shape
    return {
        "vectors": vectors[order],
        "contents": np.asarray([stored.contents[i] for i in places[order]], np.str_),
        "skipped": np.asarray(skipped, dtype=np.str_).reshape(-1, 2),
    }
