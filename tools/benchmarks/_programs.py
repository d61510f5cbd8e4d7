"""Every jitted function of an evaluation, with the shapes that the study gives it.

The encoder's programs are those that the stages run: the extraction's one function from pixels to
R-MAC (batch normalisation folded), and a step of the recalibration. Nothing is allocated: the
arguments are shapes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxret import defaults, functional
from jaxret.defaults import RANKINGS
from jaxret.descriptors import describer, multiscale, pooling, whitening
from jaxret.descriptors.pooling_rows import Pooling
from jaxret.functional import compression, diffusion, neighbours, ranking, sharded
from jaxret.functional.settings import RankingSettings
from jaxret.models import batch_norm
from jaxret.models.encoder import template
from jaxret.models.spec import ModelSpec
from jaxret.ranking.streamed import device as streamed

BATCH = 32  # photographs of a program on one device
CHANNELS = 2048  # of a ResNet-50's descriptors
DIM = defaults.PCA_DIM
PARTS = 64  # bytes a photograph of the product quantisation
K, RESCORED = 1000, 100  # results of a search in codes, and how many of them are scored again


@dataclass(frozen=True)
class Program:
    """A jitted function and the shapes of its arguments.

    Attributes:
        name: What it does, for a table.
        dtype: Of its products, "float32" or "bfloat16".
        function: Made by jax.jit; the arguments' names are its own.
        arguments: Trees of ShapeDtypeStruct.
        static: Those that are no arrays.
        dealt: Arguments whose rows (first axis) are dealt out over a mesh; the others are on
            every device.
        photographs: That one call describes; 0 for what comes after the encoder.
        times: How often the body of its one loop runs; the compiler's account has it once.
        by_hand: (operations, bytes moved) of loops within loops, where only a formula tells.
    """

    name: str
    dtype: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    static: dict[str, Any] = field(default_factory=dict)
    dealt: frozenset[str] = frozenset()
    photographs: int = 0
    times: int = 1
    by_hand: tuple[float, float] | None = None

    def trace(self, place: Callable[[str], Any] = lambda argument: None) -> Any:
        """The traced function; `place` gives the sharding of an argument by its name."""
        placed = {name: _at(tree, place(name)) for name, tree in self.arguments.items()}
        return self.function.trace(**placed, **self.static)  # type: ignore[attr-defined]

    def of(self, photographs: int) -> "Program":
        """The same program for so many photographs."""

        def resized(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((photographs, *leaf.shape[1:]), leaf.dtype)

        resized_arguments = {name: resized(self.arguments[name]) for name in self.dealt}
        arguments = {**self.arguments, **resized_arguments}
        return replace(self, arguments=arguments, photographs=photographs)


def _at(tree: Any, sharding: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def _shape(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def describe(spec: ModelSpec, dtype: str, batch: int = BATCH, size: int | None = None) -> Program:
    """Photographs to R-MAC descriptors, as `jaxret.descriptors.describer` runs it."""
    folded = replace(spec, folded=True)
    side = size or spec.image_size or defaults.IMAGE_SIZE
    return Program(
        name="describe",
        dtype=dtype,
        function=describer.describe_images,
        arguments={
            "variables": template(folded),
            "images": _shape(batch, side, side, 3, dtype=np.uint8),
        },
        static={
            "spec": folded,
            "dtype": jnp.dtype(dtype),
            "poolings": (Pooling(),),
        },
        dealt=frozenset(["images"]),
        photographs=batch,
    )


def recalibrate(spec: ModelSpec, batch: int = BATCH, size: int | None = None) -> Program:
    """One batch of the pass that moves the running statistics; always float32."""
    variables, side = template(spec), size or spec.image_size or defaults.IMAGE_SIZE
    return Program(
        name="recalibrate",
        dtype="float32",
        function=batch_norm.step,
        arguments={
            "params": variables["params"],
            "running": variables["batch_stats"],
            "images": _shape(batch, side, side, 3, dtype=np.uint8),
            "mask": _shape(batch, dtype=bool),
            "rate": _shape(),
        },
        static={"spec": spec},
        dealt=frozenset(["images", "mask"]),
        photographs=batch,
    )


def encoder_programs(
    spec: ModelSpec, dtype: str, batch: int = BATCH, size: int | None = None
) -> Iterator[Program]:
    """What an evaluation runs on photographs."""
    yield describe(spec, dtype, batch, size)
    if spec.has_batch_norm and dtype == "float32":
        yield recalibrate(spec, batch, size)


def descriptor_programs(rows: int) -> Iterator[Program]:
    """From R-MAC to what is ranked."""
    vectors = _shape(rows, CHANNELS)
    yield Program("l2_normalize", "float32", pooling.l2_normalize, {"x": vectors})
    yield Program(
        "pool_scales",
        "float32",
        multiscale._power_mean,
        {"x": _shape(len(defaults.MULTISCALES), rows, CHANNELS)},
        {"power": defaults.MULTISCALE_POWER, "normalize": True},
    )
    yield Program(
        "whiten",
        "float32",
        whitening._whiten,
        {"x": vectors, "mean": _shape(CHANNELS), "projection": _shape(DIM, CHANNELS)},
    )


def after_the_encoder(queries: int, rows: int) -> Iterator[Program]:
    """What an evaluation of `rows` photographs runs on descriptors."""
    yield from descriptor_programs(rows)
    yield from ranking_programs(queries, rows)
    yield from behind_a_search(queries, rows)


def ranking_programs(queries: int, rows: int) -> Iterator[Program]:
    """The functions that the eight rankings are made of, `jaxret.functional`, in their order."""
    settings = RankingSettings()
    s, count = settings.diffusion, queries + rows
    asked, database = _shape(queries, DIM), _shape(rows, DIM)
    similarities = _shape(queries, rows)
    length = min(rows, s.list_length)

    def program(function: Callable[..., Any], arguments: dict[str, Any], **static: Any) -> Program:
        return Program(function.__name__, "float32", function, arguments, static)

    def looped(made: Program, at_once: int, count: int) -> Program:
        return replace(made, times=-(-count // max(1, at_once)))

    yield looped(
        program(functional.top_k, {"queries": database, "database": database}, k=length),
        neighbours.PRODUCTS_AT_ONCE // rows,
        rows,
    )
    yield program(functional.others, {"neighbours": _neighbours(rows, length)})
    near = _neighbours(rows, settings.dba_n)
    augmented = program(functional.augment, {"database": database, "neighbours": near})
    yield looped(augmented, 1, settings.dba_n)
    yield program(functional.inner_products, {"queries": asked, "database": database})
    near = _neighbours(queries, settings.aqe_n)
    expanded = {"queries": asked, "database": database, "neighbours": near}
    yield looped(program(functional.expand, expanded), 1, settings.aqe_n)
    yield program(functional.order, {"scores": similarities, "fill": similarities})
    together = {
        "among": _shape(queries, queries),
        "cross": similarities,
        "nearest": _neighbours(rows, length),
    }
    yield looped(
        program(ranking.joint_nearest, together, length=min(count, s.list_length)),
        ranking.MERGED_AT_ONCE // (queries + length),
        rows,
    )
    # Each node's list is compared with those of all that stand in it.
    read = float(count * (s.kd - 1) ** 2)
    near = _neighbours(count, s.kd - 1)
    linked = program(functional.mutual_graph, {"neighbours": near}, kd=s.kd, gamma=s.gamma)
    yield replace(linked, by_hand=(read, 4 * read))
    lists, values = _shape(count, s.truncation, dtype=np.int32), _shape(count, s.truncation)
    weights, ids = _neighbours(count, s.kd - 1)
    graph: Any = functional.Graph(ids, weights)  # type: ignore[arg-type]
    # Every update reads the values of each node's neighbours, once for all columns.
    read = float(s.rounds * (s.kd - 1)) * count**2
    diffused = program(functional.diffuse, {"graph": graph, "lists": lists})
    yield replace(diffused, by_hand=(2 * read, 4 * read))
    yield looped(
        program(functional.cosines, {"lists": lists, "rows": values}, queries=queries),
        diffusion.NUMBERS_AT_ONCE // count,
        rows,
    )
    combined = {
        "lists": _shape(rows, s.truncation, dtype=np.int32),
        "rows": _shape(rows, s.truncation),
        "nearest": _neighbours(queries, settings.kq),
    }
    yield looped(program(functional.combine, combined), 1, settings.kq)
    yield program(
        functional.rank,
        {"queries": asked, "database": database},
        ranking=RANKINGS[-1],
        settings=settings,
    )


def spread_programs(queries: int, rows: int, mesh: Mesh) -> Iterator[Program]:
    """The two functions of the rankings that are spread; every chip does the others alone."""
    s, count = RankingSettings().diffusion, queries + rows
    database = _shape(rows, DIM)
    yield Program(
        "top_k, spread",
        "float32",
        sharded._top_k,
        {"queries": database, "database": database},
        {"k": min(rows, s.list_length), "mesh": mesh},
        times=-(-rows // max(1, neighbours.PRODUCTS_AT_ONCE // (rows // mesh.size))),
    )
    weights, ids = _neighbours(count, s.kd - 1)
    graph: Any = functional.Graph(ids, weights)  # type: ignore[arg-type]
    read = float(s.rounds * (s.kd - 1)) * count**2 / mesh.size
    yield Program(
        "diffuse, spread",
        "float32",
        sharded._diffuse,
        {"graph": graph, "lists": _shape(count, s.truncation, dtype=np.int32)},
        {"alpha": s.alpha, "tolerance": s.tolerance, "rounds": s.rounds, "mesh": mesh},
        by_hand=(2 * read, 4 * read),
    )


def stream_program(queries: int, dim: int, k: int, rows: int, mesh: Mesh) -> Program:
    """One block of a streamed search, `jaxret.ranking.streamed`, its rows dealt out."""
    best = (
        _shape(mesh.size, queries, k),
        _shape(mesh.size, queries, k, dtype=np.int32),
    )
    return Program(
        "streamed block",
        "float32",
        streamed._step,
        {
            "queries": _shape(queries, dim),
            "best": best,
            "bad": _shape(mesh.size, dtype=np.int32),
            "rows": _shape(rows, dim, dtype=jnp.float16),
            "first": _shape(dtype=np.int32),
            "count": _shape(dtype=np.int32),
        },
        {"mesh": mesh, "k": k, "unit": True},
        dealt=frozenset(["best", "bad", "rows"]),
    )


def for_others(queries: int, rows: int) -> Iterator[Program]:
    """The rest of `jaxret.functional`, which an evaluation has in another form."""
    vectors = _shape(rows, CHANNELS)
    yield Program("whitening", "float32", functional.whitening, {"x": vectors}, {"dim": DIM})
    projection = {"mean": _shape(CHANNELS), "projection": _shape(DIM, CHANNELS)}
    yield Program("functional.whiten", "float32", functional.whiten, {"x": vectors, **projection})
    joint = {"queries": _shape(queries, DIM), "database": _shape(rows, DIM)}
    yield Program("diffuse_jointly", "float32", functional.diffuse_jointly, joint, {"k": rows})
    yield Program(
        "average_precision",
        "float32",
        functional.average_precision,
        {
            "ranks": _shape(rows, dtype=np.int32),
            "positives": _shape(rows, dtype=bool),
            "junk": _shape(rows, dtype=bool),
        },
    )


def behind_a_search(queries: int, rows: int) -> Iterator[Program]:
    """Re-rankings, rankings beyond the study's, and searches in a compressed database."""
    listed = {
        "queries": _shape(queries, DIM),
        "database": _shape(rows, DIM),
        "ids": _shape(queries, rows, dtype=np.int32),
    }
    for again in (functional.superglobal, functional.k_reciprocal):
        yield Program(again.__name__, "float32", again, listed)  # type: ignore[attr-defined]
    mean = {"aggregation": "mean"}
    yield Program("superglobal, mean", "float32", functional.superglobal, listed, mean)
    for name in ("G+DBA+AQE(alpha=3,n=50)+SG(m=100)", "G+AQEwD+KR"):
        composed = {"queries": _shape(queries, DIM), "database": _shape(rows, DIM)}
        yield Program(f"rank {name}", "float32", functional.rank, composed, {"ranking": name})
    yield from in_codes(queries, rows)


def in_codes(queries: int, rows: int) -> Iterator[Program]:
    """Compressing a database, and searching in it, by each codec."""
    turn, vectors = _shape(DIM, DIM), _shape(rows, DIM)
    k = min(rows, K)
    line = _shape(DIM)
    codecs: dict[str, tuple[Any, int, Any]] = {
        "float16": (compression.Half(), DIM, np.float16),
        "int8": (compression.Scalar(line, line), DIM, np.uint8),  # type: ignore[arg-type]
        "pq64": (
            compression.Product(turn, _shape(PARTS, 256, DIM // PARTS)),  # type: ignore[arg-type]
            *(PARTS, np.uint8),
        ),
        "binary": (compression.Binary(turn), DIM // 8, np.uint8),  # type: ignore[arg-type]
    }
    for name, (codec, size, dtype) in codecs.items():
        codes = _shape(rows, size, dtype=dtype)
        given = {"codec": codec, "rows": vectors}
        yield Program(f"encode {name}", "float32", compression.encode, given)
        asked = {"queries": _shape(queries, DIM), "codec": codec, "codes": codes}
        yield Program(f"top_k_codes {name}", "float32", compression.top_k_codes, asked, {"k": k})
    found = {
        "queries": _shape(queries, DIM),
        "database": vectors,
        "found": _neighbours(queries, k),
    }
    first = {"first": min(k, RESCORED)}
    yield Program("rescored", "float32", compression.rescored, found, first)


def _neighbours(count: int, k: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    return _shape(count, k), _shape(count, k, dtype=np.int32)
