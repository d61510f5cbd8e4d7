"""Photographs to descriptors: the stage in which the time goes.

One pass of a photograph through the network makes every pooling that is asked for; each is stored
on its own (`make`), so that a later run takes what is there. The work is cut into shards
(`jaxret.descriptors.shards`); a run that was killed goes on after its last whole shard, and a
changed setting never meets an old one. Process p of P takes the shards p, p + P, p + 2P, ...; all
of them wait until the last shard lies there, then read them in order.
"""

import collections
import contextlib
import functools
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxret.data.dataset import Split
from jaxret.data.images.loader import Batch, batches
from jaxret.data.images.resize import SIDE_MULTIPLE, sizes_at
from jaxret.descriptors.multiscale import pool_scales
from jaxret.descriptors.pooling_rows import Pooling
from jaxret.descriptors.shards import SHARD, Descriptors, Shard, StoredSplit, shard_arrays
from jaxret.descriptors.speed import Stopwatch
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, forward_layers
from jaxret.models.folding import fold
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store, write_arrays
from jaxret.runtime.timing import Clock

_STAGE_VERSION = 4  # raise it when the same key would give other descriptors

_UnderWay = collections.deque[tuple[Batch, tuple[jax.Array, ...]]]

Watch = Callable[[int], None]
"""Told of each batch how many photographs it described; what it raises ends the work."""


@dataclass(frozen=True)
class Extraction:
    """What, besides encoder and photographs, decides a descriptor; and how the work is done."""

    image_size: int
    crop: bool
    resize: str
    decoder: str
    dtype: str
    pooling: Pooling
    on_bad_image: str
    batch_size: int
    workers: int | None
    side_multiple: int = SIDE_MULTIPLE
    scale: float = 1.0  # of a resize that never enlarges

    def key(self) -> dict[str, Any]:
        multiple = {"side_multiple": self.side_multiple}
        other = self.resize == "keep" and self.side_multiple != SIDE_MULTIPLE
        scale = {"scale": self.scale} if self.scale != 1 else {}
        return {
            **(multiple if other else {}),
            **scale,
            "image_size": self.image_size,
            "crop": self.crop,
            "resize": self.resize,
            "decoder": self.decoder,
            "dtype": self.dtype,
            **self.pooling.key(),
        }


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
    vectors = _pooled([one.vectors for one in found], normalize)
    return replace(found[0], vectors=vectors, made=sum(one.made for one in found))


def _pooled(scales: Sequence[np.ndarray], normalize: bool) -> np.ndarray:
    if len(scales) == 1:
        return scales[0]
    return np.asarray(pool_scales(np.stack(scales), normalize=normalize))


def describer(
    encoder: Encoder, how: Extraction, scales: Sequence[float], normalize: bool = True
) -> Callable[[Split], np.ndarray]:
    """A function from a split of one photograph to its descriptor [1, C], as `extract_scales`.

    Made once for many calls: nothing is compiled, folded or sent to the devices again, and nothing
    is stored. A photograph that cannot be read raises its `BadImage`.
    """
    one_by_one = replace(how, batch_size=1, workers=0, on_bad_image="fail")
    functions = [_Describe(encoder, [one]) for one in at_scales(one_by_one, scales)]

    def describe(split: Split) -> np.ndarray:
        found = [next(one.all(split, [0], [], Clock())) for one in functions]
        return _pooled([rows for _, rows in found], normalize)

    return describe


def at_scales(how: Extraction, scales: Sequence[float]) -> list[Extraction]:
    """One extraction a scale."""
    if how.resize == "thumbnail":
        return [replace(how, scale=float(scale)) for scale in scales]
    return [replace(how, image_size=size) for size in sizes_at(how.image_size, scales)]


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
    describers: dict[tuple[Extraction, ...], _Describe] = {}
    clock, stopwatch = Clock(), Stopwatch()
    host = parallel.host_name()
    with (
        clock.timed("all"),
        tqdm(total=total, unit="photo", desc=f"features{host}", mininterval=1, leave=False) as bar,
    ):
        for parts, positions in zip(shards, wanted, strict=True):
            several = tuple(part.how for part in parts)
            if several not in describers:
                describers[several] = _Describe(encoder(), several)
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


class _Describe:
    """The encoder and its poolings as one jitted function; only (B, D) leaves the devices.

    Attributes:
      channels: of each pooling, whose vectors lie side by side.
    """

    def __init__(self, encoder: Encoder, several: Sequence[Extraction]) -> None:
        mesh = parallel.local_mesh()
        folded = fold(encoder)
        self._how = how = several[0]
        self._encoder = encoder
        self._batch_size = parallel.round_up(how.batch_size, mesh.size)
        self._images = parallel.over_devices(mesh)
        self._variables = parallel.replicated(folded.variables, mesh)
        self._poolings = tuple(one.pooling for one in several)
        self._describe = functools.partial(
            _describe_images,
            spec=folded.spec,
            dtype=jnp.dtype(how.dtype),
            poolings=self._poolings,
        )
        self.channels = (0,) * len(several)  # until a batch has been described

    def all(
        self, split: Split, photographs: Sequence[int], skipped: list[tuple[str, str]], clock: Clock
    ) -> Generator[tuple[Batch, np.ndarray], None, None]:
        """Each batch with its descriptors; the next one is already on its way to the devices."""
        loaded = batches(
            split,
            self._how.image_size,
            self._batch_size,
            indices=photographs,
            crop=self._how.crop,
            resize=self._how.resize,
            side_multiple=self._how.side_multiple,
            scale=self._how.scale,
            decoder=self._how.decoder,
            workers=self._how.workers,
            on_bad=self._how.on_bad_image,
            bad=skipped,
            clock=clock,
        )
        under_way: _UnderWay = collections.deque()
        try:
            yield from self._in_order(loaded, under_way, split, clock)
        finally:  # whatever ends this, nothing decodes or computes on behind it
            loaded.close()
            for _, promised in under_way:
                jax.block_until_ready(promised)

    def _in_order(
        self,
        loaded: Generator[Batch, None, None],
        under_way: _UnderWay,
        split: Split,
        clock: Clock,
    ) -> Iterator[tuple[Batch, np.ndarray]]:
        while True:
            with clock.timed("wait for photographs"):
                batch = next(loaded, None)
            if batch is not None:
                under_way.append((batch, self(batch.images)))
            if batch is None or len(under_way) > 1:
                if not under_way:
                    return
                first, promised = under_way.popleft()
                with clock.timed("forward"):
                    parts = [np.asarray(one)[: first.count] for one in promised]
                self.channels = tuple(part.shape[1] for part in parts)
                vectors = np.concatenate(parts, axis=1)
                self._check_finite(vectors, first, split)
                yield first, vectors

    def __call__(self, images: np.ndarray) -> tuple[jax.Array, ...]:
        return self._describe(self._variables, jax.device_put(images, self._images))

    def _check_finite(self, vectors: np.ndarray, batch: Batch, split: Split) -> None:
        """Raises UserError with the photograph's name and the first layer of a NaN or infinity."""
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if not len(bad):
            return
        stages = self._encoder.stages(batch.images[bad[:1]])
        finite = {name: bool(jnp.isfinite(stage).all()) for name, stage in stages.items()}
        layer = next((name for name in finite if not finite[name]), "the pooling")
        raise UserError(
            f"The descriptor of {split.names[int(batch.indices[bad[0]])]} is not finite; NaN or "
            f"infinity first appears in {layer} of {self._encoder.spec.name}: check the weights, "
            "or run with --dtype=float32."
        )


# Nothing is donated: no float32 (B, D) fits the memory of uint8 images, and the variables stay.
@functools.partial(jax.jit, static_argnames=("spec", "dtype", "poolings"))
def _describe_images(
    variables: Any,
    images: jax.Array,
    *,
    spec: Any,
    dtype: Any,
    poolings: tuple[Pooling, ...],
) -> tuple[jax.Array, ...]:
    layers = tuple(dict.fromkeys(one.layer for one in poolings if one.layer is not None))
    outputs = forward_layers(spec, variables, images, dtype, layers)
    return tuple(one(outputs) for one in poolings)
