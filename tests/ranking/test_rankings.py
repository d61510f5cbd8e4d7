import numpy as np
import pytest

from jaxret import functional
from jaxret.errors import UserError
from jaxret.ranking.diffusion import offline_files
from jaxret.ranking.diffusion.inductive import Diffusion, DiffusionSettings, diffuse_jointly
from jaxret.ranking.diffusion.solver import Solver
from jaxret.ranking.expansion import augment_database, expand_queries
from jaxret.ranking.neighbours.search import knn
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import RANKINGS, RankingSettings, rank_all


def unit(count, dim=16, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def one_at_a_time(name, queries, database, dfs, rest):
    """The ranking by the public functions, nothing shared."""
    count = len(database)
    if "DBA" in name:
        database = augment_database(database)
    if "AQE" in name:
        queries = expand_queries(queries, database, 1 if "DBA" in name else 10)
    if "DFS" not in name:
        return knn(queries, database, count)[1]
    if dfs == "joint":
        return diffuse_jointly(queries, database, count, truncation=50, kd=12, rest=rest)[1]
    return Diffusion.fit(database, truncation=50, kd=12).search(queries, count, rest=rest)[1]


@pytest.mark.parametrize("dfs", ["joint", "inductive"])
@pytest.mark.parametrize("rest", ["global", "none"])
@pytest.mark.parametrize("block_size", [None, 7])
def test_every_ranking_equals_its_functions_called_alone(dfs, rest, block_size):
    queries, database = unit(7), unit(150, seed=1)
    settings = RankingSettings(
        dfs=dfs, dfs_rest=rest, diffusion=DiffusionSettings(50, 12), block_size=block_size
    )
    ranked = rank_all(queries, database, settings=settings)
    assert tuple(ranked) == RANKINGS
    for name, result in ranked.items():
        expected = one_at_a_time(name, queries, database, dfs, rest)
        np.testing.assert_array_equal(result.ids, expected, err_msg=name)
        assert (result.isolated is None) == ("DFS" not in name)


def test_few_photographs_less_than_every_setting():
    queries, database = unit(3), unit(5, seed=1)
    for result in rank_all(queries, database).values():
        np.testing.assert_array_equal(np.sort(result.ids, axis=1), np.tile(np.arange(5), (3, 1)))


def test_augmented_rows_may_keep_their_length():
    queries, database = unit(7), unit(150, seed=1)
    settings = RankingSettings(dba_normalize=False, diffusion=DiffusionSettings(50, 12))
    ranked = rank_all(queries, database, ["G+DBA", "G+DBA+DFS"], settings)
    short = augment_database(database, normalize=False)
    np.testing.assert_array_equal(ranked["G+DBA"].ids, knn(queries, short, 150)[1])
    expected = one_at_a_time("G+DBA+DFS", queries, database, "joint", "global")
    np.testing.assert_array_equal(ranked["G+DBA+DFS"].ids, expected)


def test_counts_queries_that_diffusion_reaches_nothing_from():
    tight = np.tile(np.eye(4, dtype=np.float32)[:1], (60, 1)) + 0.01 * unit(60, 4)
    tight /= np.linalg.norm(tight, axis=1, keepdims=True)
    queries = np.stack([np.array([0.6, 0.8, 0, 0], np.float32), tight[0]])
    settings = RankingSettings(diffusion=DiffusionSettings(50, 10))
    assert rank_all(queries, tight, ["G+DFS"], settings)["G+DFS"].isolated == 1


def test_inductive_diffusion_is_kept_in_a_folder(tmp_path, monkeypatch):
    queries, database = unit(7), unit(90, seed=1)
    names, settings = ("G+DFS", "G+DBA+AQE+DFS"), RankingSettings(dfs="inductive", dba_n=5)
    expected = rank_all(queries, database, names, settings)
    rank_all(queries, database, names, settings, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # the plain and the augmented database
    monkeypatch.setattr(offline_files, "search", None)  # nothing is looked for again,
    monkeypatch.setattr(Solver, "solve", None)  # and nothing solved
    found = rank_all(queries, database, names, settings, tmp_path)
    for name in names:
        np.testing.assert_array_equal(found[name].ids, expected[name].ids)


def test_refuses_with_a_sentence():
    with pytest.raises(
        UserError, match=r"'G\+QE': there is no step 'QE' .nearest: AQE.; there are G,"
    ):
        rank_all(unit(2), unit(3), ["G+QE"])
    with pytest.raises(UserError, match="Known: joint, inductive"):
        RankingSettings(dfs="both")
    with pytest.raises(UserError, match="Known: global, none"):
        RankingSettings(dfs_rest="all")


# Under one settings: each name says what it takes, and what it leaves unsaid is shared.
NAMED = ("G", "G+AQE(alpha=2,n=5)", "G+AQEwD", "G+DBA(n=4,alpha=3)+SG(m=40,k=3)", "G+KR(m=30,k1=5)")


def named_by_hand(queries, database):
    alpha = expand_queries(queries, database, 5, weights="alpha", alpha=2.0)
    falling = expand_queries(queries, database, 10, weights="linear")
    augmented = augment_database(database, 4, weights="alpha")
    count = len(database)
    first = [np.array(knn(queries, rows, count)[1]) for rows in (augmented, database)]
    return {
        "G": first[1],
        NAMED[1]: knn(alpha, database, count)[1],
        NAMED[2]: knn(falling, database, count)[1],
        NAMED[3]: functional.superglobal(queries, augmented, first[0], m=40, k=3),
        NAMED[4]: functional.k_reciprocal(queries, database, first[1], m=30, k1=5),
    }


def test_names_with_numbers_and_rerankings_are_the_functions_called_alone():
    queries, database = unit(7), unit(150, seed=1)
    here = rank_all(queries, database, NAMED, scored=5)
    for name, ids in named_by_hand(queries, database).items():
        np.testing.assert_array_equal(here[name].ids, ids, err_msg=name)
        assert (here[name].scores is None) == ("SG" in name or "KR" in name)
    assert len({here[name].ids.tobytes() for name in NAMED}) == len(NAMED)


@pytest.mark.slow
def test_names_with_numbers_are_the_hosts_on_the_device_and_in_one_function():
    queries, database = unit(7), unit(150, seed=1)
    here = rank_all(queries, database, NAMED)
    with rank_on("device"):
        there = rank_all(queries, database, NAMED)
    for name in NAMED:
        np.testing.assert_array_equal(there[name].ids, here[name].ids, err_msg=name)
        one = functional.rank(queries, database, name)
        np.testing.assert_array_equal(one, here[name].ids, err_msg=name)


@pytest.mark.slow
def test_reranks_what_aqe_and_diffusion_leave():
    queries, database = unit(7), unit(150, seed=1)
    settings = RankingSettings(diffusion=DiffusionSettings(50, 12))
    names = ("G+AQE+DFS", "G+AQE+DFS+SG(m=20)", "G+AQE+DFS+SG(m=20)+KR(m=10,k1=4,k2=2)")
    ranked = rank_all(queries, database, names, settings)
    expanded = expand_queries(queries, database, 10)
    ids = functional.superglobal(expanded, database, ranked[names[0]].ids, m=20)
    np.testing.assert_array_equal(ranked[names[1]].ids, ids)
    again = functional.k_reciprocal(expanded, database, ids, m=10, k1=4, k2=2)
    np.testing.assert_array_equal(ranked[names[2]].ids, again)
    assert ranked[names[1]].isolated == ranked[names[0]].isolated
