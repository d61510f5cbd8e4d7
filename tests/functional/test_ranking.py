import jax
import numpy as np
import pytest
from rows import unit

from jaxret import RankingSettings, functional
from jaxret.defaults import RANKINGS
from jaxret.functional.settings import DiffusionSettings
from jaxret.ranking.rankings import rank_all

SMALL = RankingSettings(dba_n=5, diffusion=DiffusionSettings(30, 9))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "G+DBA+AQE+DFS" else pytest.mark.slow)
        for name in RANKINGS
    ],
)
def test_one_function_is_the_whole_composition(name):
    queries, database = unit(7), unit(100, seed=1)
    expected = rank_all(queries, database, [name], SMALL)[name].ids
    ids = functional.rank(queries, database, name, SMALL)
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == np.int32


def test_lies_within_a_users_own_functions():
    queries, database = unit(6).reshape(2, 3, 16), unit(50, seed=1)

    @jax.jit
    def both(queries, database):
        whiten = functional.whiten(database, *functional.whitening(database, 8))
        asked = jax.vmap(lambda one: functional.l2_normalize(one[:, :8]))(queries)
        return jax.vmap(lambda one: functional.rank(one, whiten, "G+DBA+AQE", SMALL))(asked)

    whiten = np.asarray(functional.whiten(database, *functional.whitening(database, 8)))
    for one, ids in zip(queries, both(queries, database), strict=True):
        asked = np.asarray(functional.l2_normalize(one[:, :8]))
        expected = rank_all(asked, whiten, ["G+DBA+AQE"], SMALL)["G+DBA+AQE"].ids
        np.testing.assert_array_equal(ids, expected)


@pytest.mark.slow
def test_is_exported_for_every_platform():
    shapes = jax.ShapeDtypeStruct((5, 16), np.float32), jax.ShapeDtypeStruct((90, 16), np.float32)
    rank = jax.jit(lambda *rows: functional.rank(*rows, "G+DBA+AQE+DFS", SMALL))
    exported = jax.export.export(rank, platforms=("cpu", "cuda", "tpu"))(*shapes)
    queries, database = unit(5), unit(90, seed=1)
    np.testing.assert_array_equal(
        exported.call(queries, database), functional.rank(queries, database, "G+DBA+AQE+DFS", SMALL)
    )
