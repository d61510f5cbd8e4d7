"""Photographs to R-MAC descriptors: the stage in which the time goes.

The work is cut into shards of consecutive photographs. A shard is written whole or not at all, in a
folder named by the digest of everything that made it; a run that was killed goes on after its last
whole shard, and a changed setting never meets an old one. Process p of P takes the shards
p, p + P, p + 2P, ...; all of them wait until the last shard lies there, then read them in order.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxret import parallel
from jaxret.artifacts import Store, read_arrays, write_arrays
from jaxret.data.dataset import Split
from jaxret.data.loader import Batch, batches
from jaxret.descriptors.rmac import rmac
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, forward

_STAGE_VERSION = 1  # raise it when the same key would give other descriptors
SHARD = 64  # photographs that a killed run loses at most


@dataclass(frozen=True)
class Extraction:
    """What, besides encoder and photographs, decides a descriptor; and how the work is done."""

    image_size: int
    crop: bool
    dtype: str
    rmac_levels: int
    rmac_include_global: bool
    on_bad_image: str
    batch_size: int
    workers: int | None

    def key(self) -> dict[str, Any]:
        return {
            "image_size": self.image_size,
            "crop": self.crop,
            "dtype": self.dtype,
            "rmac_levels": self.rmac_levels,
            "rmac_include_global": self.rmac_include_global,
        }


@dataclass(frozen=True)
class Descriptors:
    """R-MAC vectors of a split's readable photographs, in the split's order.

    Attributes:
      vectors: (n, C) float32, not normalised.
      indices: (n,) positions in the split.
      skipped: name and reason of each photograph left out.
      reused: whether all of them lay in the workdir already.
    """

    vectors: np.ndarray
    indices: np.ndarray
    skipped: tuple[tuple[str, str], ...]
    reused: bool


def extract(
    encoder: Encoder, split: Split, how: Extraction, origin: Mapping[str, Any], store: Store
) -> Descriptors:
    """Descriptors of all photographs of a split, from the store where they lie there already.

    Args:
      origin: what made the encoder (weights, recalibration), part of the shards' key.

    Raises:
      UserError: an unreadable photograph (where that is to end the run), or NaN in a descriptor.
    """
    key = {"stage": _STAGE_VERSION, "split": split.fingerprint(), **origin, **how.key()}
    folder = store.folder("features", key)
    shards = [
        (folder / f"shard-{start:08d}.npz", range(start, min(start + SHARD, len(split))))
        for start in range(0, len(split), SHARD)
    ]
    missing = [shard for shard in shards if not shard[0].exists()]
    if missing:
        _extract_shards(encoder, split, how, _mine(missing))
    parallel.wait_for_files([path for path, _ in shards])
    return _join([read_arrays(path) for path, _ in shards], reused=not missing)


def _mine(shards: list[Any]) -> list[Any]:
    return shards[jax.process_index() :: jax.process_count()]


def _extract_shards(
    encoder: Encoder, split: Split, how: Extraction, shards: list[tuple[Path, range]]
) -> None:
    describe = _Describe(encoder, how)
    total = sum(len(photographs) for _, photographs in shards)
    with tqdm(total=total, unit="photo", desc="features", mininterval=1, leave=False) as progress:
        for path, photographs in shards:
            skipped: list[tuple[str, str]] = []
            rows, indices = [], []
            for batch in batches(
                split,
                how.image_size,
                describe.batch_size,
                indices=photographs,
                crop=how.crop,
                workers=how.workers,
                on_bad=how.on_bad_image,
                bad=skipped,
            ):
                rows.append(describe(batch, split))
                indices.append(batch.indices)
                progress.update(batch.count)
            write_arrays(
                path,
                vectors=np.concatenate([*rows, np.zeros((0, describe.channels), np.float32)]),
                indices=np.concatenate([*indices, np.zeros(0, np.int64)]).astype(np.int64),
                skipped=np.asarray(skipped, dtype=np.str_).reshape(-1, 2),
            )


class _Describe:
    """The encoder and R-MAC as one jitted function; only (B, C) leaves the devices."""

    def __init__(self, encoder: Encoder, how: Extraction) -> None:
        mesh = parallel.local_mesh()
        self._encoder = encoder
        self.batch_size = parallel.round_up(how.batch_size, mesh)
        self.channels = encoder.spec.channels
        self._images = parallel.over_devices(mesh)
        self._variables = jax.device_put(encoder.variables, parallel.on_every_device(mesh))
        self._describe = functools.partial(
            _rmac_of_images,
            spec=encoder.spec,
            dtype=how.dtype,
            levels=how.rmac_levels,
            include_global=how.rmac_include_global,
        )

    def __call__(self, batch: Batch, split: Split) -> np.ndarray:
        images = jax.device_put(batch.images, self._images)
        vectors = np.asarray(self._describe(self._variables, images))[: batch.count]
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise self._not_finite(batch, split, int(np.flatnonzero(~finite)[0]))
        return vectors

    def _not_finite(self, batch: Batch, split: Split, row: int) -> UserError:
        stages = self._encoder.stages(batch.images[row : row + 1])
        first = next(
            (n for n, m in stages.items() if not np.isfinite(np.asarray(m)).all()), "R-MAC"
        )
        return UserError(
            f"The descriptor of {split.names[int(batch.indices[row])]} is not finite; NaN or "
            f"infinity first appears in {first} of {self._encoder.spec.name}: check the weights, "
            "or run with --dtype=float32."
        )


@functools.partial(jax.jit, static_argnames=("spec", "dtype", "levels", "include_global"))
def _rmac_of_images(
    variables: Any, images: jax.Array, *, spec: Any, dtype: str, levels: int, include_global: bool
) -> jax.Array:
    return rmac(forward(spec, variables, images, dtype), levels, include_global)


def _join(shards: list[dict[str, np.ndarray]], reused: bool) -> Descriptors:
    skipped = np.concatenate([shard["skipped"] for shard in shards])
    return Descriptors(
        vectors=np.concatenate([shard["vectors"] for shard in shards]),
        indices=np.concatenate([shard["indices"] for shard in shards]),
        skipped=tuple((str(name), str(reason)) for name, reason in skipped),
        reused=reused,
    )
