"""One step of learning as one jitted function: views, encoder, loss, gradient, update.

Batches are dealt out over the mesh and everything else is on every device. Nothing here names the
mesh: batch statistics and negatives are those of the whole batch because XLA sums and gathers over
all devices what a formula over the whole batch asks for. For the same reason MoCo's shuffling is
not needed: it hides from each device whose statistics a key was normalised with.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxret.defaults import BN_MOMENTUM
from jaxret.descriptors.pooling import gem
from jaxret.descriptors.rmac import rmac
from jaxret.models.batch_norm import moved
from jaxret.models.encoder import Encoder, forward_training
from jaxret.models.spec import ModelSpec
from jaxret.training import heads, losses, optimizers
from jaxret.training.augmentations import RECIPES, augment
from jaxret.training.settings import TrainSettings

State = dict[str, Any]
# How a map [B, h, w, C] becomes the vector [B, C] that is learnt on.
POOLINGS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "mean": lambda fmap: fmap.mean(axis=(1, 2)),
    "gem": gem,
    "rmac": rmac,
}


def initial_state(encoder: Encoder, settings: TrainSettings, queue_size: int) -> State:
    """Everything that a step changes, at step 0.

    Args:
        encoder: Where learning starts.
        settings: With all that the loss decides filled in.
        queue_size: Keys of the queue (mocov2).

    Returns:
        "step"; "key", the random state that all views are drawn from; "params" of encoder and
        head; "batch_stats"; "optimizer"; with mocov2 also "slow", the momentum encoder's "params"
        and "batch_stats", "queue" [K, D] and "oldest", its oldest row.
    """
    key = jax.random.key(settings.seed)
    params: dict[str, Any] = {"encoder": dict(encoder.variables["params"])}
    if settings.loss != "ap":
        channels = encoder.spec.channels
        hidden, head_key = settings.projection_hidden or channels, jax.random.fold_in(key, 1)
        outputs, norm = settings.projection_dim, settings.loss == "simclr"
        params["head"] = heads.init(head_key, channels, hidden, outputs, norm)
    batch_stats = dict(encoder.variables["batch_stats"])
    state: State = {
        "step": jnp.zeros((), jnp.int32),
        "key": jax.random.key_data(jax.random.fold_in(key, 2)),
        "params": params,
        "batch_stats": batch_stats,
        "optimizer": optimizers.make(settings).init(params),
    }
    if settings.loss == "mocov2":
        shape = (queue_size, settings.projection_dim)
        state["slow"] = {"params": params, "batch_stats": batch_stats}
        state["queue"] = jax.random.normal(jax.random.fold_in(key, 3), shape)
        state["oldest"] = jnp.zeros((), jnp.int32)
    return jax.tree.map(jnp.array, state)  # copies: a step gives its state's memory away


def make_step(
    spec: ModelSpec, settings: TrainSettings, mesh: Mesh
) -> Callable[..., tuple[State, Any]]:
    """The jitted step (state, images, photographs, labels, epoch) -> (state, metrics).

    images: uint8 [B, S, S, 3]; photographs: int32 [B], their numbers, which with the epoch decide
    how they are seen; labels: int32 [B], what they show (ap). The state is given away.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    step = functools.partial(_step, spec, settings)
    return jax.jit(step, donate_argnums=0, out_shardings=everywhere)


def _step(
    spec: ModelSpec,
    settings: TrainSettings,
    state: State,
    images: jax.Array,
    photographs: jax.Array,
    labels: jax.Array,
    epoch: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    key = jax.random.fold_in(jax.random.wrap_key_data(state["key"]), epoch)

    def view(number: int) -> jax.Array:
        keys = jax.vmap(lambda photograph: jax.random.fold_in(key, photograph))(photographs)
        keys = jax.vmap(lambda one: jax.random.fold_in(one, number))(keys)
        recipe = RECIPES[str(settings.augmentation)]
        return augment(keys, images, recipe, settings.image_size)

    return learn(spec, settings, state, view, labels)


def learn(
    spec: ModelSpec,
    settings: TrainSettings,
    state: State,
    view: Callable[[int], jax.Array],
    labels: jax.Array | None = None,
) -> tuple[State, dict[str, jax.Array]]:
    """What a step does with its views: view(0) and, but for ap, view(1) of the same photographs.

    A view is [B, S, S, 3] in 0..255, uint8 or floating.
    """
    learner = _Learner(spec, settings)
    loss_of = {"simclr": learner.simclr, "mocov2": learner.mocov2, "ap": learner.ap}[settings.loss]
    gradient_of = jax.value_and_grad(loss_of, has_aux=True)
    (loss, changed), gradient = gradient_of(state["params"], state, view, labels)
    updates, optimizer = optimizers.make(settings).update(
        gradient, state["optimizer"], state["params"]
    )
    params = optax.apply_updates(state["params"], updates)
    new = {**state, **changed, "params": params, "optimizer": optimizer, "step": state["step"] + 1}
    if settings.loss == "mocov2":
        slow = losses.follow(state["slow"]["params"], params, settings.slow_momentum)
        new["slow"] = {**changed["slow"], "params": slow}
    return new, {"loss": loss, "gradient_norm": optax.tree.norm(gradient)}


class _Learner:
    """The losses as functions of the parameters: (loss, what else of the state they change)."""

    def __init__(self, spec: ModelSpec, settings: TrainSettings) -> None:
        self._spec = spec
        self._settings = settings

    def simclr(self, params: Any, state: State, view: Any, labels: Any) -> tuple[jax.Array, State]:
        images = jnp.concatenate([view(0), view(1)])
        projected, stats = self._projected(params, state["batch_stats"], images)
        first, second = jnp.split(projected, 2)
        loss = losses.nt_xent(first, second, float(self._settings.temperature or 1))
        return loss, {"batch_stats": stats}

    def mocov2(self, params: Any, state: State, view: Any, labels: Any) -> tuple[jax.Array, State]:
        slow = state["slow"]
        queries, stats = self._projected(params, state["batch_stats"], view(0))
        keys, slow_stats = self._projected(slow["params"], slow["batch_stats"], view(1))
        temperature = float(self._settings.temperature or 1)
        loss = losses.info_nce(queries, keys, state["queue"], temperature)
        queue, oldest = losses.enqueue(state["queue"], state["oldest"], keys)
        changed = {"batch_stats": stats, "queue": queue, "oldest": oldest}
        return loss, {**changed, "slow": {**slow, "batch_stats": slow_stats}}

    def ap(self, params: Any, state: State, view: Any, labels: Any) -> tuple[jax.Array, State]:
        descriptors, stats = self._described(params, state["batch_stats"], view(0))
        loss = losses.listwise_ap(descriptors, labels, self._settings.ap_bins)
        return loss, {"batch_stats": stats}

    def _projected(self, params: Any, stats: Any, images: jax.Array) -> tuple[jax.Array, Any]:
        described, stats = self._described(params, stats, images)
        return heads.project(params["head"], described), stats

    def _described(self, params: Any, stats: Any, images: jax.Array) -> tuple[jax.Array, Any]:
        settings = self._settings
        variables = {"params": params["encoder"], "batch_stats": stats}
        fmap, batch = forward_training(
            self._spec,
            variables,
            images,
            dtype=jnp.dtype(settings.dtype),
            remat=settings.remat,
        )
        return POOLINGS[str(settings.pooling)](fmap), moved(stats, batch, BN_MOMENTUM)
