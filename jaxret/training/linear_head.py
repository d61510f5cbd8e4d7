"""A linear layer behind frozen descriptors, learnt on labels and kept as a whitening is.

    y = l2_normalize(W (x - m))

It begins as the PCA-whitening of the descriptors that it learns from, m stays their mean. Such a
layer is what ILIAS (Kordopatis-Zilos et al., CVPR 2025) puts behind every foundation model before
they are compared. `--whitening=FILE` applies it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.evaluation.metrics import evaluate
from jaxret.pipeline import describe
from jaxret.ranking.neighbours.search import knn
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store
from jaxret.settings import Settings
from jaxret.stages.context import RunContext
from jaxret.stages.features import joined
from jaxret.stages.whitening import pca_dim
from jaxret.training import optimizers
from jaxret.training.curves import Curves
from jaxret.training.data import sampling
from jaxret.training.data.labelled_photographs import (
    NO_INSTANCE,
    LabelledPhotographs,
    check_enough,
    held_out_dataset,
)
from jaxret.training.loop import Trained, workdir_of
from jaxret.training.losses.average_precision import listwise_ap
from jaxret.training.losses.cosines import products, unit_rows
from jaxret.training.report import write_report
from jaxret.training.settings import TrainSettings

FILE = "head.npz"  # in the workdir
TEMPERATURE = 0.05  # of the softmax over cosines with the classes
Params = dict[str, jax.Array]


@dataclass(frozen=True)
class Described:
    """The photographs of a dataset by their descriptors.

    Attributes:
        rows: [M, C], the database first, then the queries.
        collection: What they show.
        back: bool [M], held out.
    """

    rows: np.ndarray
    collection: LabelledPhotographs
    back: np.ndarray

    @property
    def learnt(self) -> np.ndarray:
        """Positions that are learnt from."""
        return np.flatnonzero(~self.back & ~self.collection.junk)


# As the training of encoders: JAX's own draws and promotions, whatever else a user asks of it.
@jax.enable_x64(False)
@jax.numpy_dtype_promotion("standard")
def train_head(settings: TrainSettings, tell: Callable[[str], None] = lambda line: None) -> Trained:
    """Describes the photographs, learns the layer and writes it; descriptors there are reused.

    Raises:
        UserError: What the user can put right.
    """
    workdir = workdir_of(settings)
    described = _describe(settings, workdir)
    first = _whitening(described.rows[described.learnt], settings)
    tell(
        f"{len(described.learnt)} photographs to learn from, {int(described.back.sum())} held out; "
        f"{first.mean.size} to {first.dim} dimensions."
    )
    curves = Curves()
    learnt = learn(described, first, settings, curves)
    if parallel.is_first():
        learnt.save(workdir / FILE)
        epochs = max(1, len(described.learnt) // settings.batch_size)
        write_report(workdir, settings, curves, epochs, evaluation_command(settings, workdir))
    return Trained(workdir, curves)


def evaluation_command(settings: TrainSettings, workdir: Path) -> str:
    """What applies the layer."""
    encoder = f"--model={settings.model}"
    if settings.init == "random":
        encoder += " --weights=random"
    elif settings.init != "converted":
        encoder += f" --checkpoint={settings.init}"
    return f"python -m jaxret.main {encoder} --whitening={workdir / FILE} --dataset=DATASET"


def _describe(settings: TrainSettings, workdir: Path) -> Described:
    """As an evaluation of the same model describes them."""
    given = settings.init not in ("converted", "random")
    how = Settings(
        model=settings.model,
        dataset=settings.dataset,
        weights="random" if settings.init == "random" else "converted",
        seed=settings.seed if settings.init == "random" else 0,
        checkpoint=settings.init if given else None,
        image_size=settings.describe_size,
        on_bad_image="fail",
        **{name: getattr(settings, name) for name in ("data_dir", "weights_dir", "workers")},
    )
    context = RunContext(Store(workdir))
    dataset = context.dataset(how.dataset, how)
    collection = LabelledPhotographs.of(dataset)
    collection.demand_instances("--train=head")
    back = collection.held_out(settings.held_out, settings.seed)
    held_out = held_out_dataset(collection, back, settings.seed) if back.any() else None
    check_enough(collection, back | collection.junk, held_out, settings.batch_size)
    features = context.features(how.model, how.dataset, how)
    queries, database = (joined([one], [features]) for one in describe(features, context))
    return Described(np.concatenate([database, queries]), collection, back)


def _whitening(rows: np.ndarray, settings: TrainSettings) -> PCAWhitening:
    dim, _ = pca_dim(settings.head_dim, len(np.unique(rows.round(5), axis=0)), rows.shape[1])
    if dim is None:
        raise UserError(
            f"{len(rows)} photographs are too few to begin from their PCA: give more, or say "
            "--head_dim."
        )
    return PCAWhitening.fit(rows, dim)


def learn(
    described: Described, first: PCAWhitening, settings: TrainSettings, curves: Curves
) -> PCAWhitening:
    """The layer after all steps, from `first`; fills the curves."""
    rows = (described.rows[described.learnt] - first.mean).astype(np.float32)
    instance = described.collection.instance[described.learnt]
    sampler, labels_of, params = _task(rows, instance, first, settings)
    rule, rate = optimizers.make(settings), optimizers.learning_rate(settings)
    step = _step_of(rule, settings)
    state = rule.init(params)
    _measure(0, params, described, first, curves)
    for number in range(settings.steps):
        _, positions = sampler.batch(number)
        params, state, loss = step(params, state, rows[positions], labels_of(positions))
        if not np.isfinite(loss):
            raise UserError(
                f"The loss of step {number + 1} is {float(loss)}: give a lower --learning_rate."
            )
        row = {"step": number + 1, "loss": float(loss)}
        curves.losses.append({**row, "learning_rate": float(rate(number // settings.accumulate))})
        if (number + 1) % settings.validate_every == 0 or number + 1 == settings.steps:
            _measure(number + 1, params, described, first, curves)
    return _layer(params, first)


def _task(
    rows: np.ndarray, instance: np.ndarray, first: PCAWhitening, settings: TrainSettings
) -> tuple[sampling.Sampler, Callable[[np.ndarray], np.ndarray], Params]:
    """(batches, labels of a batch, what is learnt); a class begins as the mean of its rows."""
    kernel = jnp.asarray(first.projection, jnp.float32)
    if settings.head_loss == "ap":
        parts = settings.ap_group, settings.batch_size, settings.seed
        grouped = sampling.grouped(instance, *parts)
        return grouped, lambda positions: sampling.labels(instance, positions), {"kernel": kernel}
    shown, classes = np.unique(instance[instance != NO_INSTANCE], return_inverse=True)
    places = np.flatnonzero(instance != NO_INSTANCE)
    if len(places) < settings.batch_size:
        raise UserError(
            f"{len(places)} photographs that show a known instance fill no --batch_size="
            f"{settings.batch_size}: give a smaller one."
        )
    of_row = np.full(len(instance), NO_INSTANCE, np.int32)
    of_row[places] = classes
    unit = np.asarray(l2_normalize(jnp.asarray(rows[places]) @ kernel.T))
    centres = np.stack([unit[classes == one].mean(axis=0) for one in range(len(shown))])
    params = {"kernel": kernel, "classes": jnp.asarray(centres, jnp.float32)}
    shuffled = sampling.shuffled(len(places), settings.batch_size, settings.seed)
    order = replace(shuffled, order=lambda generator: generator.permutation(places))
    return order, lambda positions: of_row[positions], params


def loss_of(params: Params, rows: jax.Array, labels: jax.Array, settings: TrainSettings):
    """Of one batch: rows [B, C] less the mean, labels [B].

    Classification is the cross-entropy of a softmax over the cosines with the classes' vectors,
    divided by the temperature; "ap" is `listwise_ap`.
    """
    found = jnp.matmul(rows, params["kernel"].T, precision=jax.lax.Precision.HIGHEST)
    if settings.head_loss == "ap":
        return listwise_ap(found, labels, settings.ap_bins)
    cosines = products(unit_rows(found), unit_rows(params["classes"]))
    logits = cosines / (settings.temperature or TEMPERATURE)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def _step_of(rule: optax.GradientTransformation, settings: TrainSettings) -> Callable[..., Any]:
    @jax.jit
    def step(params: Params, state: Any, rows: jax.Array, labels: jax.Array):
        loss, gradients = jax.value_and_grad(loss_of)(params, rows, labels, settings)
        updates, state = rule.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step


def _layer(params: Params, first: PCAWhitening) -> PCAWhitening:
    """In the form of a whitening whose projection is scaled already."""
    kernel = np.asarray(params["kernel"], np.float64)
    return PCAWhitening(first.mean, kernel, np.ones(len(kernel)))


def _measure(
    step: int, params: Params, described: Described, first: PCAWhitening, curves: Curves
) -> None:
    """Retrieval on the held-out part, if there is one."""
    back, collection = described.back, described.collection
    if not back.any():
        return
    dataset = held_out_dataset(collection, back, 0)
    layer, count = _layer(params, first), len(collection.dataset.database)
    database = np.asarray(layer(described.rows[:count][back[:count]]))
    queries = np.asarray(layer(described.rows[count:][back[count:]]))
    ids = knn(queries, database, len(database))[1]
    assert dataset.ground_truth is not None
    found = {
        one: float(evaluate(ids, dataset.ground_truth, one)["map"]) for one in dataset.protocols
    }
    curves.retrieval.append({"step": step, **found})
