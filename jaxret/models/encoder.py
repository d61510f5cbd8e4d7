"""Pixels in, map out: a network with its weights and its preprocessing, as one jitted function."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxret.errors import UserError
from jaxret.models.networks.amdim import AMDIM
from jaxret.models.networks.convolution import adaptive_average_pool
from jaxret.models.networks.efficientnet import EfficientNetLite
from jaxret.models.networks.layers import Style
from jaxret.models.networks.resnet import ResNet
from jaxret.models.networks.vit import ViT
from jaxret.models.spec import ModelSpec

Variables = Mapping[str, Any]  # {"params": ..., "batch_stats": ...}: nested dicts of arrays

VECTORS = ("cls", "registers", "pooled")  # stages that are no maps
BELOW_HEAD = "layer4"  # the map that a GeM head pools

_SIDE = 128  # for shapes alone: any size that reaches the last stage of every network


def network(spec: ModelSpec, remat: bool = False) -> nn.Module:
    """The Flax module of a row: (images, mask, last) -> {stage: map}.

    It computes in the dtype of the images, whatever that of its variables. `remat`: see `Style`.
    """
    arguments: dict[str, Any] = dict(spec.arguments)
    padding = arguments.pop("padding", "torch")
    folded = spec.folded
    if spec.architecture == "resnet":
        return ResNet(style=Style(padding, folded=folded, remat=remat), **arguments)
    if spec.architecture == "efficientnet_lite":
        style = Style("same", epsilon=1e-3, folded=folded, remat=remat)
        return EfficientNetLite(style=style, **arguments)
    if spec.architecture == "amdim":
        return AMDIM(style=Style(folded=folded, remat=remat), **arguments)
    if spec.architecture == "vit":
        return ViT(remat=remat, **arguments)
    raise ValueError(f"no network of architecture {spec.architecture!r}")


@lru_cache
def template(spec: ModelSpec) -> Variables:
    """Shapes and dtypes of all variables of a row; nothing is allocated. Not to be changed."""
    images = jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 3), jnp.float32)
    shapes = jax.eval_shape(network(spec).init, jax.random.key(0), images)
    return {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}


def normalize_pixels(spec: ModelSpec, images: jax.Array, dtype: Any) -> jax.Array:
    """uint8 [B, H, W, 3] -> (pixel / 255 - mean) / std, in the arithmetic of 0..255."""
    mean = 255 * np.array(spec.mean, dtype=np.float64).reshape(1, 1, 1, 3)
    std = 255 * np.array(spec.std, dtype=np.float64).reshape(1, 1, 1, 3)
    wide = jnp.promote_types(dtype, jnp.float32)
    pixels = images.astype(wide)
    return ((pixels - mean.astype(wide)) / std.astype(wide)).astype(dtype)


def forward(
    spec: ModelSpec, variables: Variables, images: jax.Array, dtype: Any = jnp.float32
) -> jax.Array:
    """The encoder as a pure function, to be used inside other jitted functions.

    Args:
        spec: The row (static).
        variables: As its Encoder holds them.
        images: uint8 [B, H, W, 3], RGB.
        dtype: Of the convolutions (static): float32, or bfloat16, which is faster on
            accelerators and rounds each activation to 8 bits.

    Returns:
        [B, h, w, C] in float32, whatever the dtype of the convolutions.

    Raises:
        UserError: The images are smaller than the network can see.
    """
    _check_size(spec, images)
    return _finish(spec, _run(spec, variables, images, dtype)[spec.tap], images)


def _check_size(spec: ModelSpec, images: jax.Array) -> None:
    if min(images.shape[1:3]) < spec.smallest_image:
        raise UserError(
            f"{spec.name} needs images of at least {spec.smallest_image} pixels a side, but got "
            f"{images.shape[1]}x{images.shape[2]}."
        )


def forward_outputs(
    spec: ModelSpec, variables: Variables, images: jax.Array, dtype: Any = jnp.float32
) -> dict[str, jax.Array]:
    """All that an encoder gives, as a pure function; arguments as of `forward`.

    Returns:
        "map" [B, h, w, C] always (below a GeM head, that which it pools), and where the network
        has them "cls" [B, C], "registers" [B, R, C] and "pooled" [B, D] (a GeM head, pooling by
        attention, CLIP's projection); in float32.
    """
    _check_size(spec, images)
    stages = _run(spec, variables, images, dtype)
    if spec.head == "gem":
        head = stages[spec.tap].astype(jnp.float32)[:, 0, 0]
        return {"map": _finish(spec, stages[BELOW_HEAD], images), "pooled": head}
    return {"map": _finish(spec, stages[spec.tap], images), **_vectors(stages)}


def forward_layers(
    spec: ModelSpec,
    variables: Variables,
    images: jax.Array,
    dtype: Any = jnp.float32,
    layers: tuple[str, ...] = (),
) -> dict[str, jax.Array]:
    """The map of `forward` as "map", the vectors beside it, and the maps of earlier stages.

    Args:
        spec, variables, images, dtype: As of `forward`.
        layers: Stages up to the tap (static); their maps are as the network gives them, those of
            a Vision Transformer's blocks before its last normalisation.
    """
    _check_size(spec, images)
    stages = _run(spec, variables, images, dtype)
    maps = {name: _wide(stages[name]) for name in layers}
    return {"map": _finish(spec, stages[spec.tap], images), **_vectors(stages), **maps}


def _vectors(stages: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: _wide(stages[name]) for name in VECTORS if name in stages}


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _run(
    spec: ModelSpec, variables: Variables, images: jax.Array, dtype: Any
) -> dict[str, jax.Array]:
    x = normalize_pixels(spec, images, dtype)
    stages: Any = network(spec).apply(variables, x, last=spec.tap)
    return stages


def _finish(spec: ModelSpec, x: jax.Array, images: jax.Array) -> jax.Array:
    x = _wide(x)
    if spec.grid_stride is None:
        return x
    height, width = (-(-side // spec.grid_stride) for side in images.shape[1:3])
    return adaptive_average_pool(x, height, width)


def forward_training(
    spec: ModelSpec,
    variables: Variables,
    images: jax.Array,
    mask: jax.Array | None = None,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> tuple[jax.Array, dict[str, Any]]:
    """`forward` in training mode: every batch normalisation by the statistics of this batch.

    Args:
        spec: The row (static).
        variables: As its Encoder holds them; their running statistics are not used.
        images: [B, H, W, 3], RGB in 0..255, uint8 or floating.
        mask: bool [B], False for images that do not count; None where all do.
        dtype: Of the convolutions (static).
        remat: Compute each block again in the backward pass (static).

    Returns:
        The map as of `forward`, and the batch's statistics (mean and unbiased variance) in the
        form of the collection "batch_stats".
    """
    mask = jnp.ones(len(images), bool) if mask is None else mask
    x = normalize_pixels(spec, images, dtype)
    stages, updated = network(spec, remat).apply(
        variables, x, mask=mask, last=spec.tap, mutable=["batch_stats"]
    )
    return _finish(spec, stages[spec.tap], images), dict(updated.get("batch_stats", {}))


def forward_stages(
    spec: ModelSpec, variables: Variables, images: jax.Array, dtype: Any = jnp.float32
) -> dict[str, jax.Array]:
    """All intermediate maps up to the tap by name, and the result of `forward` as "output"."""
    stages = _run(spec, variables, images, dtype)
    return {**stages, "output": _finish(spec, stages[spec.tap], images)}


@lru_cache
def _stage_channels(spec: ModelSpec) -> Mapping[str, int]:
    """Channels of the stages up to the tap in the order of the network, "output" last."""
    found: dict[str, int] = {}

    def record(variables: Variables, images: jax.Array) -> None:
        stages = forward_stages(spec, variables, images)  # JAX itself would sort them
        found.update({name: x.shape[-1] for name, x in stages.items()})

    images = jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 3), jnp.uint8)
    jax.eval_shape(record, template(spec), images)
    return found


def stage_names(spec: ModelSpec) -> tuple[str, ...]:
    """Names of the stages up to the tap in the order of the network, "output" last."""
    return tuple(_stage_channels(spec))


def layer_channels(spec: ModelSpec) -> dict[str, int]:
    """The stages up to the tap that are maps, in order, with their channels."""
    known = _stage_channels(spec).items()
    return {name: width for name, width in known if name not in (*VECTORS, "output")}


def output_channels(spec: ModelSpec) -> dict[str, int]:
    """What the encoder gives, by the names of `forward_outputs`; the map is that of `forward`."""
    built = network(spec)
    vectors = built.vector_channels() if isinstance(built, ViT) else {}
    if spec.head is not None:
        vectors = {"pooled": spec.channels}
    return {"map": spec.channels, **vectors}


# JAX keeps one compiled function a row, dtype and image shape.
_jitted_forward = partial(jax.jit, static_argnames=("spec", "dtype"))(forward)
_jitted_outputs = partial(jax.jit, static_argnames=("spec", "dtype"))(forward_outputs)
_jitted_stages = partial(jax.jit, static_argnames=("spec", "dtype"))(forward_stages)


@dataclass(frozen=True, eq=False)
class Encoder:
    """A row of the registry together with its weights. Calling it changes nothing in it.

    Attributes:
        spec: The row.
        variables: {"params": ..., "batch_stats": ...}, nested dicts of float32 arrays.
        whitening: The PCA that came with the checkpoint ("mean" [C], "components" [D, C],
            "explained_variance" [D], and "whiten": False if it only rotates), where one did.
        dtype: Of the convolutions, "float32" or "bfloat16".
    """

    spec: ModelSpec
    variables: Variables = field(repr=False)
    whitening: Mapping[str, np.ndarray] | None = field(default=None, repr=False)
    dtype: str = "float32"

    def __call__(self, images: Any) -> jax.Array:
        """uint8 [B, H, W, 3] RGB -> float32 [B, h, w, C].

        Raises:
            UserError: The images have another shape or dtype.
        """
        check_images(images)
        return _jitted_forward(self.spec, self.variables, images, dtype=jnp.dtype(self.dtype))

    def outputs(self, images: Any) -> dict[str, jax.Array]:
        """uint8 [B, H, W, 3] RGB -> {"map": [B, h, w, C], "cls": [B, C], ...}; what there is.

        See `forward_outputs` for the names; the map is that of calling the encoder, but for a
        GeM head, where it is what the head pools.
        """
        check_images(images)
        return _jitted_outputs(self.spec, self.variables, images, dtype=jnp.dtype(self.dtype))

    def stages(self, images: Any) -> dict[str, jax.Array]:
        """Every intermediate map by the name of its stage, in order, then "output"."""
        check_images(images)
        maps = _jitted_stages(self.spec, self.variables, images, dtype=jnp.dtype(self.dtype))
        return {name: maps[name] for name in stage_names(self.spec)}

    def digest(self) -> str:
        """sha256 over the names, shapes and bytes of all arrays, as 64 hexadecimal digits."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return digest_of(self.variables)


def check_images(images: Any) -> None:
    """Raises UserError unless `images` is uint8 [B, H, W, 3]."""
    shape, dtype = getattr(images, "shape", None), getattr(images, "dtype", None)
    if shape is None or len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8:
        found = f"{dtype} {tuple(shape)}" if shape is not None else type(images).__name__
        raise UserError(f"An encoder takes uint8 images [B, H, W, 3] in RGB, but got {found}.")


def named_arrays(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """("params/layer1_0/conv1/kernel", array) pairs of a nested dict, in order of the names."""
    for key in sorted(tree):
        name = f"{prefix}{key}"
        if isinstance(tree[key], Mapping):
            yield from named_arrays(tree[key], f"{name}/")
        else:
            yield name, tree[key]


def digest_of(variables: Variables) -> str:
    """sha256 over names, shapes, dtypes and bytes; independent of device and of file form."""
    digest = hashlib.sha256()
    for name, array in named_arrays(variables):
        host = np.ascontiguousarray(array)
        digest.update(f"{name} {host.dtype} {host.shape}\n".encode())
        digest.update(host.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def count_parameters(tree: Mapping[str, Any]) -> int:
    """How many values the arrays (or shapes) of a nested dict hold together."""
    return sum(int(np.prod(leaf.shape)) for _, leaf in named_arrays(tree))
