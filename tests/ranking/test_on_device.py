"""The public functions on devices: the host's ids, the host's sentences, nothing to the host."""

import diffusion_reference as reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rows import clustered, two_components, unit, with_isolated_nodes

import jaxret
from jaxret.defaults import RANKINGS
from jaxret.errors import UserError
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking import placement
from jaxret.ranking.diffusion import device, device_grouping, grouping
from jaxret.ranking.diffusion.inductive import combine
from jaxret.ranking.diffusion.joint import JointDiffusion
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all

SMALL = DiffusionSettings(50, 12)
SETS = {  # of one shape where they can be, so that they are compiled once
    "random": (unit(7, 17), unit(151, 17, seed=1)),
    "clustered": (clustered(7, 17, 3), clustered(151, 17, 4)),
    "all identical": (unit(1, 17).repeat(7, axis=0), unit(1, 17).repeat(151, axis=0)),
    "two components": two_components(7, 151, 17),
    "isolated nodes": with_isolated_nodes(7, 151, 17),
    "fewer than the truncation": (unit(3, 5), unit(9, 5, seed=1)),
    "one row": (unit(2, 5), unit(1, 5, seed=1)),
}
OTHER_SHAPES = ("fewer than the truncation", "one row")


def diffused_on_the_host(name, queries, database, settings):
    """Scores [Q, N] of one of the rankings with DFS, by the public functions on the host."""
    if "DBA" in name:
        database = jaxret.augment_database(database)
    if "AQE" in name:
        queries = jaxret.expand_queries(queries, database, 1 if "DBA" in name else 10)
    if settings.dfs == "joint":
        return JointDiffusion.fit(queries, database, settings.diffusion).scores
    fitted = jaxret.Diffusion.fit(database, 50, 12)
    return combine(fitted.rows, jaxret.knn(queries, database, settings.kq), 3.0)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow) if one in OTHER_SHAPES else one for one in SETS],
)
@pytest.mark.parametrize("dfs", ["joint", pytest.param("inductive", marks=pytest.mark.slow)])
def test_every_ranking_is_the_hosts(name, dfs):
    queries, database = SETS[name]
    settings = RankingSettings(dfs=dfs, diffusion=SMALL)
    on_host = rank_all(queries, database, settings=settings)
    with rank_on("device"):
        on_device = rank_all(queries, database, settings=settings)
    for ranking in RANKINGS:
        found, expected = on_device[ranking], on_host[ranking]
        assert isinstance(found.ids, np.ndarray) and found.isolated == expected.isolated
        if "DFS" not in ranking or name in ("random", "two components"):
            np.testing.assert_array_equal(found.ids, expected.ids, err_msg=ranking)
        else:  # scores that only the rounding of conjugate gradients tells apart
            scores = diffused_on_the_host(ranking, queries, database, settings)
            tolerance = 2e-6 * max(1, np.abs(scores).max())
            count = len(database)
            reference.assert_same_ranking(found.ids, scores, count, tolerance)
            np.testing.assert_array_equal(
                np.sort(found.ids), np.tile(np.arange(count), (len(queries), 1))
            )


def everything(queries, database):
    """All that the public functions give, as one tree."""
    fitted = jaxret.Diffusion.fit(database, 30, 9)
    return {
        "knn": jaxret.knn(queries, database, 9),
        "expanded": jaxret.expand_queries(queries, database, 3, weights="alpha"),
        "augmented": jaxret.augment_database(database, 4, normalize=False),
        "inductive": fitted.search(queries, 200),
        "by id": fitted.search(queries, 200, rest="none"),
        "joint": jaxret.diffuse_jointly(queries, database, 200, 30, 9),
        "filled": jaxret.diffuse_jointly(queries, database, 200, 30, 9, rest="global"),
        "nobody": jaxret.knn(queries[:0], database, 3),
    }


@pytest.mark.slow
def test_every_public_function_gives_the_hosts_results():
    queries, database = unit(5), unit(90, seed=1)
    expected = everything(queries, database)
    with rank_on("device"):
        found = everything(queries, database)
    for (path, array), same in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        assert isinstance(array, np.ndarray) and array.dtype == same.dtype, path
        np.testing.assert_allclose(array, same, atol=2e-6, err_msg=str(path))


@pytest.mark.parametrize("place", [pytest.param("device", marks=pytest.mark.slow), "host"])
def test_arrays_of_jax_come_back_where_they_were(place):
    where = jax.devices()[2]
    queries, database = jax.device_put((unit(5), unit(90, seed=1)), where)
    with rank_on(place):
        found = everything(queries, database)
        ranked = rank_all(queries, database, settings=RankingSettings(diffusion=SMALL))
    for array in (*jax.tree.leaves(found), *(one.ids for one in ranked.values())):
        assert isinstance(array, jax.Array) and array.devices() == {where}


@pytest.mark.slow
def test_nothing_but_what_is_asked_for_comes_to_the_host(monkeypatch):
    queries, database = jax.device_put(SETS["random"])
    get, as_numpy, fetched, asked_for = jax.device_get, type(queries).__array__, [], []

    def device_get(tree):
        asked_for.append(True)
        fetched.extend(map(np.size, jax.tree.leaves(tree)))
        found = get(tree)
        asked_for.pop()
        return found

    def to_numpy(array, *arguments, **options):
        assert asked_for, "an array came to the host"
        return as_numpy(array, *arguments, **options)

    monkeypatch.setattr(jax, "device_get", device_get)
    # On a CPU JAX's guard sees no transfer: NumPy itself is taken away from the arrays.
    monkeypatch.setattr(type(queries), "__array__", to_numpy)
    with jax.transfer_guard_device_to_host("disallow"), rank_on("device"):
        ranked = rank_all(queries, database, settings=RankingSettings(diffusion=SMALL))
        jax.block_until_ready([one.ids for one in ranked.values()])
    assert set(fetched) == {1}  # of checks and counts of isolated queries


def test_an_accelerator_is_used_without_being_told(monkeypatch):
    assert not placement.on_device(unit(3), jnp.ones((3, 3)))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert placement.on_device(unit(3))
    with rank_on("host"):
        assert not placement.on_device(unit(3))


@pytest.mark.slow
@pytest.mark.parametrize("given", ["numpy", "one device", "dealt out"])
def test_spread_over_the_devices_of_a_mesh(given):
    queries, database = unit(6), unit(92, seed=1)
    names = ["G+DBA+AQE", "G+DBA+AQE+DFS"]
    mesh = Mesh(np.array(jax.devices()), ("x",))
    settings = RankingSettings(dfs="inductive", diffusion=SMALL)
    with rank_on("device", Mesh(np.array(jax.devices()[:1]), ("x",))):
        expected = rank_all(queries, database, names, settings)
    if given == "one device":
        queries, database = map(jnp.asarray, (queries, database))
    if given == "dealt out":
        over = NamedSharding(mesh, PartitionSpec("x"))
        queries, database = jnp.asarray(queries), jax.device_put(database, over)
    with rank_on("device", mesh if given != "dealt out" else None):
        found = rank_all(queries, database, names, settings)
    for name, one in found.items():
        np.testing.assert_array_equal(one.ids, expected[name].ids, err_msg=name)
    assert given == "numpy" or len(found[names[0]].ids.devices()) == 4


def test_large_graphs_are_solved_by_groups(monkeypatch):
    queries, database = SETS["clustered"]
    settings = RankingSettings(diffusion=SMALL)
    with rank_on("device"):
        whole = rank_all(queries, database, ["G+DFS"], settings)["G+DFS"]
        monkeypatch.setattr("jaxret.ranking.on_device.LARGEST_UNGROUPED", 100)
        grouped = []
        solve = device.Grouped.diffuse
        monkeypatch.setattr(device.Grouped, "diffuse", lambda *a: grouped.append(1) or solve(*a))
        found = rank_all(queries, database, ["G+DFS"], settings)["G+DFS"]
    assert grouped
    scores = JointDiffusion.fit(queries, database, SMALL).scores
    for ids in (whole.ids, found.ids):
        reference.assert_same_ranking(ids, scores, len(database), 2e-6)


@pytest.mark.parametrize("count, width", [(333, 40), (97, 96)])
def test_devices_group_the_nodes_that_hosts_group(count, width):
    draw = np.random.default_rng(count)
    rows = unit(count // 20)[draw.integers(0, count // 20, count)]
    rows += 0.1 * draw.standard_normal(rows.shape)
    nearest = np.argsort(-rows @ rows.T, axis=1, kind="stable")
    nearest = nearest[nearest != np.arange(count)[:, None]].reshape(count, -1)[:, :width]
    nearest, degrees = nearest.astype(np.int32), draw.integers(0, 9, count).astype(np.int32)
    found = device_grouping.close_order(jnp.asarray(nearest), jnp.asarray(degrees))
    np.testing.assert_array_equal(found, grouping.close_order(nearest, degrees))
    np.testing.assert_array_equal(np.sort(found), np.arange(count))


def spoilt(value, row=4):
    rows = unit(9)
    rows[row, 2] = value
    return rows


BAD = [
    lambda: jaxret.knn(unit(2), spoilt(np.nan), 3),
    lambda: jaxret.knn(spoilt(np.inf), unit(5), 3),
    lambda: jaxret.augment_database(np.pad(unit(3), ((0, 1), (0, 0)))),
    lambda: jaxret.expand_queries(unit(2, 8), unit(5, 9)),
    lambda: jaxret.knn(unit(2), unit(5)[0], 3),
    lambda: jaxret.knn(unit(2), unit(5).astype(bool), 3),
    lambda: jaxret.knn(unit(2), unit(5)[:0], 3),
    lambda: jaxret.knn(unit(2), unit(5), 0),
    lambda: jaxret.Diffusion.fit(unit(5)[:0]),
    lambda: jaxret.Diffusion.fit(unit(5), kd=1),
    lambda: jaxret.diffuse_jointly(unit(2), spoilt(np.nan), 3),
    lambda: jaxret.diffuse_jointly(unit(2), unit(5)[:0], 3),
    lambda: rank_all(unit(2), spoilt(0.0) * 0),
    lambda: rank_all(unit(2), unit(5)[:0]),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input_gets_the_sentence_of_the_host(number):
    with pytest.raises(UserError) as on_host:
        BAD[number]()
    with pytest.raises(UserError) as on_device, rank_on("device"):
        BAD[number]()
    assert str(on_device.value) == str(on_host.value)


def test_rows_of_other_lengths_are_normalised_as_on_the_host(caplog):
    queries, database = 3 * unit(5), unit(40, seed=1) * np.linspace(0.5, 2, 40)[:, None]
    expected = rank_all(queries, database, ["G+DBA"])["G+DBA"].ids
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    with rank_on("device"):
        found = rank_all(queries, database, ["G+DBA"])["G+DBA"].ids
    np.testing.assert_array_equal(found, expected)
    assert [record.getMessage() for record in caplog.records] == said and len(said) == 2


def test_refuses_an_unknown_place():
    with pytest.raises(UserError, match=r"'gpu'\. Known: auto, host, device"), rank_on("gpu"):
        pass
