"""An encoder and its poolings as one jitted function from photographs to descriptors."""

import collections
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
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
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, forward_layers
from jaxret.models.folding import fold
from jaxret.runtime import parallel
from jaxret.runtime.timing import Clock

_UnderWay = collections.deque[tuple[Batch, tuple[jax.Array, ...]]]


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


def at_scales(how: Extraction, scales: Sequence[float]) -> list[Extraction]:
    """One extraction a scale."""
    if how.resize == "thumbnail":
        return [replace(how, scale=float(scale)) for scale in scales]
    return [replace(how, image_size=size) for size in sizes_at(how.image_size, scales)]


def pooled_scales(scales: Sequence[np.ndarray], normalize: bool) -> np.ndarray:
    """[n, C] of each scale -> [n, C]."""
    if len(scales) == 1:
        return scales[0]
    return np.asarray(pool_scales(np.stack(scales), normalize=normalize))


class Describer:
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
            describe_images,
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
def describe_images(
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


def describe_alone(
    encoder: Encoder, how: Extraction, scales: Sequence[float], normalize: bool = True
) -> Callable[[Split], np.ndarray]:
    """A function from a split of one photograph to its descriptor [1, C], all scales pooled.

    Made once for many calls: nothing is compiled, folded or sent to the devices again, and nothing
    is stored. A photograph that cannot be read raises its `BadImage`.
    """
    one_by_one = replace(how, batch_size=1, workers=0, on_bad_image="fail")
    functions = [Describer(encoder, [one]) for one in at_scales(one_by_one, scales)]

    def describe(split: Split) -> np.ndarray:
        found = [next(one.all(split, [0], [], Clock())) for one in functions]
        return pooled_scales([rows for _, rows in found], normalize)

    return describe
