"""Photographs to descriptors: the stage in which the time goes.

One pass of a photograph through the network makes every pooling that is asked for; each is stored
on its own (`make`), so that a later run takes what is there. The work is cut into shards
(`jaxret.descriptors.shards`); a run that was killed goes on after its last whole shard, and a
changed setting never meets an old one. Process p of P takes the shards p, p + P, p + 2P, ...; all
of them wait until the last shard lies there, then read them in order.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxret.data.dataset import Split
from jaxret.descriptors.describer import Describer, Extraction, at_scales, pooled_scales
from jaxret.descriptors.shards import SHARD, Descriptors, Shard, StoredSplit, shard_arrays
from jaxret.descriptors.speed import Stopwatch
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store, write_arrays
from jaxret.runtime.timing import Clock

_STAGE_VERSION = 4  # raise it when the same key would give other descriptors

Watch = Callable[[int], None]
"""Told of each batch how many photographs it described; what it raises ends the work."""


def stored_split(
    split: Split, how: Extraction, origin: Mapping[str, Any], store: Store
) -> StoredSplit:
    """Where the descriptors of a split lie or will lie.

    Args:
      origin: what made the encoder (weights, recalibration), part of the key.
    """
    return StoredSplit.of(split, described_by(how, origin), store, SHARD)


def described_by(how: Extraction, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What made descriptors, apart from the photographs, as a key."""
    return {"stage": _STAGE_VERSION, **origin, **how.key()}


def extract(
    encoder: Callable[[], Encoder],
    split: Split,
    how: Extraction,
    origin: Mapping[str, Any],
    store: Store,
    watch: Watch | None = None,
) -> Descriptors:
    """Descriptors of all photographs of a split, from the store where they lie there already.

    Args:
      encoder: called where one is needed.
      origin: what made the encoder (weights, recalibration), part of the shards' key.
      watch: see `Watch`.

    Raises:
      UserError: an unreadable photograph (where that is to end the run), or NaN in a descriptor.
    """
    [made] = make(encoder, split, [how], origin, store, watch)
    stored = stored_split(split, how, origin, store)
    parallel.wait_for_files([shard.path for shard in stored.shards])
    found = stored.read(made=made)
    if found.skipped and how.on_bad_image == "fail":  # a run that skips had stored it
        raise UserError(found.skipped[0][1])
    return found


def make(
    encoder: Callable[[], Encoder],
    split: Split,
    several: Sequence[Extraction],
    origin: Mapping[str, Any],
    store: Store,
    watch: Watch | None = None,
) -> list[int]:
    """Makes what is missing of several poolings in one pass over a split.

    Args:
      encoder, split, origin, store, watch: as of `extract`.
      several: alike in everything but their pooling.

    Returns:
      How many photographs' descriptors were missing of each.
    """
    every = [stored_split(split, how, origin, store) for how in several]
    missing = [stored.missing() for stored in every]
    if any(missing):
        for stored, shards in zip(every, missing, strict=True):
            if shards:
                store.folder("features", stored.key)
        if parallel.several():  # recalibration is one pass of all processes, whoever has shards
            encoder()
        mine = parallel.my_part([shard.photographs for shard in every[0].shards])
        work: dict[range, list[_Part]] = {}
        for how, stored, shards in zip(several, every, missing, strict=True):
            for shard, positions in shards:
                if shard.photographs in mine:
                    part = _Part(how, stored, shard, positions)
                    work.setdefault(shard.photographs, []).append(part)
        _extract_shards(encoder, split, list(work.values()), watch or _unwatched)
    return [sum(len(positions) for _, positions in shards) for shards in missing]


@dataclass(frozen=True)
class _Part:
    """One file to be made: the descriptors of one pooling of the photographs of one shard."""

    how: Extraction
    stored: StoredSplit
    shard: Shard
    positions: list[int]

    def write(
        self,
        split: Split,
        indices: Sequence[np.ndarray],
        rows: Sequence[np.ndarray],
        skipped: Sequence[tuple[str, str]],
        channels: int,
    ) -> None:
        """Writes those of the photographs that it wants."""
        kept = [np.isin(places, self.positions) for places in indices]
        names = {split.names[place] for place in self.positions}
        arrays = shard_arrays(
            self.stored,
            [places[keep] for places, keep in zip(indices, kept, strict=True)],
            [vectors[keep] for vectors, keep in zip(rows, kept, strict=True)],
            [one for one in skipped if one[0] in names],
            channels,
        )
        write_arrays(self.shard.path, **arrays)


def extract_scales(
    encoder: Callable[[], Encoder],
    split: Split,
    how: Extraction,
    scales: Sequence[float],
    origin: Mapping[str, Any],
    store: Store,
    normalize: bool = True,
    watch: Watch | None = None,
) -> Descriptors:
    """`extract` at each scale of the image size, pooled; each scale is stored on its own."""
    found = [extract(encoder, split, one, origin, store, watch) for one in at_scales(how, scales)]
    vectors = pooled_scales([one.vectors for one in found], normalize)
    return replace(found[0], vectors=vectors, made=sum(one.made for one in found))


def _extract_shards(
    encoder: Callable[[], Encoder],
    split: Split,
    shards: Sequence[Sequence[_Part]],
    watch: Watch,
) -> None:
    """Makes and writes the shards; ends with a line that says where the time went."""
    from tqdm import tqdm

    wanted = [sorted({place for part in parts for place in part.positions}) for parts in shards]
    total = sum(map(len, wanted))
    if not total:  # all photographs are in other shards already
        for part in (part for parts in shards for part in parts):
            part.write(split, (), (), (), channels=0)
        return
    describers: dict[tuple[Extraction, ...], Describer] = {}
    clock, stopwatch = Clock(), Stopwatch()
    host = parallel.host_name()
    with (
        clock.timed("all"),
        tqdm(total=total, unit="photo", desc=f"features{host}", mininterval=1, leave=False) as bar,
    ):
        for parts, positions in zip(shards, wanted, strict=True):
            several = tuple(part.how for part in parts)
            if several not in describers:
                describers[several] = Describer(encoder(), several)
            describe = describers[several]
            skipped: list[tuple[str, str]] = []
            rows, indices = [], []
            with contextlib.closing(describe.all(split, positions, skipped, clock)) as described:
                for batch, vectors in described:
                    rows.append(vectors)
                    indices.append(batch.indices)
                    stopwatch.count(batch.count)
                    bar.update(batch.count)
                    watch(batch.count)
            with clock.timed("write"):
                ends = np.cumsum(describe.channels)
                for part, end, width in zip(parts, ends, describe.channels, strict=True):
                    own = [vectors[:, end - width : end] for vectors in rows]
                    part.write(split, indices, own, skipped, width)
    speed = stopwatch.speed()
    if speed is not None and parallel.is_first():
        for folder in {part.stored.folder for parts in shards for part in parts}:
            speed.keep(folder)
    tqdm.write(f"features{host}: {_where_the_time_went(total, clock)}", file=sys.stderr)


def _unwatched(count: int) -> None:
    """Nobody asked."""


def _where_the_time_went(photographs: int, clock: Clock) -> str:
    seconds = clock.seconds()
    spent = ", ".join(f"{stage} {s:.1f} s" for stage, s in seconds.items() if stage != "all")
    rate = photographs / seconds["all"]
    return (
        f"{photographs} photographs in {seconds['all']:.1f} s ({rate:.1f} a second); {spent} "
        "(reading and decoding run in threads beside the forward pass)"
    )
