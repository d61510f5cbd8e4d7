import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxret.errors import UserError
from jaxret.ranking.diffusion import offline_files
from jaxret.ranking.diffusion.graph import mutual_graph
from jaxret.ranking.diffusion.inductive import Diffusion
from jaxret.ranking.diffusion.solver import Solver
from jaxret.ranking.neighbours.search import knn, others

BLOCKS = [(4, 7), (4, 4096), (1, 7), (1, 64), (1, 4096)]  # (devices, nodes at once)


def clustered(count=320, dim=24, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(12, dim))
    rows = centres[random.integers(12, size=count)] + 0.6 * random.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def in_folder(folder, **changes):
    return Diffusion.fit(clustered(), truncation=60, kd=15, folder=folder, **changes)


def assert_equal(a, b):
    for ours, theirs in zip(a.rows.whole(), b.rows.whole(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shard_size", [100, 320, 5000])
def test_a_folder_holds_what_memory_holds(tmp_path, shard_size):
    fitted = in_folder(tmp_path, shard_size=shard_size)
    assert all(isinstance(shard, np.memmap) for shard in (*fitted.rows.ids, *fitted.rows.scores))
    expected = Diffusion.fit(clustered(), truncation=60, kd=15)
    assert_equal(fitted, expected)
    queries = clustered(8, seed=3)
    np.testing.assert_allclose(
        fitted.search(queries, 50)[0], expected.search(queries, 50)[0], rtol=1e-5
    )


def test_saved_is_loaded(tmp_path):
    fitted = Diffusion.fit(clustered(), truncation=60, kd=15)
    fitted.save(tmp_path / "new")
    loaded = Diffusion.load(tmp_path / "new")
    assert loaded.settings == fitted.settings
    np.testing.assert_array_equal(
        loaded.search(clustered(5), 9)[1], fitted.search(clustered(5), 9)[1]
    )


def test_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    solve, calls = Solver.solve, []

    def dies(self, lists, order):
        calls.append(len(lists))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return solve(self, lists, order)

    monkeypatch.setattr(Solver, "solve", dies)
    with pytest.raises(KeyboardInterrupt):
        in_folder(tmp_path, shard_size=100)
    with pytest.raises(UserError, match=r"no finished diffusion \(scores-000000200.npy is missing"):
        Diffusion.load(tmp_path)

    def searches_nothing(*_):
        raise AssertionError("the neighbours were found before")

    monkeypatch.setattr(offline_files, "search", searches_nothing)
    fitted = in_folder(tmp_path, shard_size=100)
    assert calls == [100, 100, 100, 100, 20]
    monkeypatch.undo()
    assert_equal(fitted, Diffusion.fit(clustered(), truncation=60, kd=15))


def test_refuses_the_folder_of_another_database_or_setting(tmp_path):
    in_folder(tmp_path)
    with pytest.raises(UserError, match="other descriptors or settings"):
        in_folder(tmp_path, gamma=2.0)
    with pytest.raises(UserError, match="other descriptors or settings"):
        Diffusion.fit(clustered(seed=1), truncation=60, kd=15, folder=tmp_path)


@pytest.mark.parametrize(
    ("devices", "block_size"),
    [(4, 64), *(pytest.param(*one, marks=pytest.mark.slow) for one in BLOCKS)],
)
def test_devices_and_blocks_change_nothing(devices, block_size):
    sims, ids = others(knn(clustered(), clustered(), 60))
    graph = mutual_graph((sims[:, :14], ids[:, :14]), 3.0)
    lists = np.concatenate([np.arange(320, dtype=np.int32)[:, None], ids], axis=1)
    mesh = Mesh(np.array(jax.devices()[:devices]), ("nodes",))
    found = Solver(graph, 0.99, 1e-6, 20, block_size, mesh).solve(lists)
    expected = Solver(graph, 0.99, 1e-6, 20).solve(lists)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
