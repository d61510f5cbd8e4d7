"""PCA-whitening against scikit-learn, its own definition and its refusals."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

import jaxret
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError


def descriptors(count, channels, seed=0):
    rng = np.random.default_rng(seed)
    scales = np.exp(-np.arange(channels) / channels * 3)
    x = rng.standard_normal((count, channels)) * scales + rng.standard_normal(channels)
    return np.asarray(jaxret.l2_normalize(x.astype(np.float32)))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("count", "channels", "dim"), [(200, 32, 16), (200, 32, 32), (24, 57, 23)])
@pytest.mark.parametrize("power", [0.5, 0.25, 0.0])
def test_equals_scikit_learn(count, channels, dim, power):
    x = descriptors(count, channels).astype(np.float64)
    pca = PCA(dim, svd_solver="full").fit(x)
    new = descriptors(11, channels, seed=1)
    theirs = unit((new - pca.mean_) @ pca.components_.T / pca.explained_variance_**power)
    signs = np.sign(pca.components_[np.arange(dim), np.abs(pca.components_).argmax(axis=1)])
    ours = PCAWhitening.fit(x, dim, power)(new)
    np.testing.assert_allclose(ours, theirs * signs, atol=2e-5)


def test_whitened_rows_have_unit_covariance_before_normalisation():
    x = descriptors(300, 20).astype(np.float64)
    whitening = PCAWhitening.fit(x, 12)
    y = (x - whitening.mean) @ np.asarray(whitening.projection, np.float64).T
    np.testing.assert_allclose(y.T @ y / 300, np.eye(12), atol=1e-5)


def test_both_decompositions_agree():
    # 40 rows in 39 channels go by columns; the same rows in 41 channels, two of them 0, by rows.
    x = descriptors(40, 39)
    wider = np.pad(x, ((0, 0), (0, 2)))
    np.testing.assert_allclose(
        PCAWhitening.fit(x, 20)(x), PCAWhitening.fit(wider, 20)(wider), atol=2e-5
    )


def test_blocks_of_rows_and_columns_change_nothing(monkeypatch):
    for shape in ((60, 21), (21, 60)):
        x = descriptors(*shape)
        whole = PCAWhitening.fit(x, 10)(x)
        with monkeypatch.context() as patch:
            patch.setattr("jaxret.descriptors.whitening.BLOCK", 7)
            np.testing.assert_allclose(PCAWhitening.fit(x, 10)(x), whole, atol=1e-6)


def test_truncate_is_fit_with_a_smaller_dimension():
    x = descriptors(80, 30)
    large = PCAWhitening.fit(x, 30)
    np.testing.assert_array_equal(large.truncate(8)(x), PCAWhitening.fit(x, 8)(x))
    assert large.truncate(8).dim == 8
    with pytest.raises(UserError, match="cut a whitening of 30"):
        large.truncate(31)


def test_signs_do_not_depend_on_the_order_of_the_rows():
    x = descriptors(50, 12)
    shuffled = x[np.random.default_rng(3).permutation(50)]
    np.testing.assert_allclose(
        PCAWhitening.fit(x, 6)(x), PCAWhitening.fit(shuffled, 6)(x), atol=1e-5
    )


def test_directions_without_variance_stay_silent():
    # 60 rows that span 5 of 16 dimensions: the other 5 kept directions are not rounding noise.
    x = np.random.default_rng(4).standard_normal((60, 5)) @ np.eye(5, 16)
    for rows in (x, np.repeat(x[:6], 2, axis=0)):
        y = np.asarray(PCAWhitening.fit(rows, 10)(rows))
        assert np.isfinite(y).all()
        assert not y[:, 5:].any()
        np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("count", "channels", "dim"), [(10, 30, 10), (10, 4, 5), (1, 4, 1), (9, 9, 0)]
)
def test_dimension_out_of_range_is_refused(count, channels, dim):
    with pytest.raises(UserError, match=r"min\(N - 1, C\)"):
        PCAWhitening.fit(descriptors(count, channels), dim)


def test_bad_rows_are_refused():
    x = descriptors(20, 6)
    whitening = PCAWhitening.fit(x, 4)
    for bad in (np.nan, np.inf):
        broken = x.copy()
        broken[13, 2] = bad
        with pytest.raises(UserError, match="Descriptor 13"):
            PCAWhitening.fit(broken, 4)
        with pytest.raises(UserError, match="Descriptor 13"):
            whitening(broken)
    with pytest.raises(UserError, match="are equal"):
        PCAWhitening.fit(np.ones((20, 6)), 4)
    with pytest.raises(ValueError, match=r"\[N, 6\], got \[3, 7\]"):
        whitening(descriptors(3, 7))
    with pytest.raises(UserError, match=r"\[N, 6\]"):
        whitening(x[0])


def test_save_and_load_give_the_same_bits(tmp_path):
    x = descriptors(40, 9)
    whitening = PCAWhitening.fit(x, 5, power=0.25)
    whitening.save(tmp_path / "whitening.npz")
    loaded = PCAWhitening.load(tmp_path / "whitening.npz")
    np.testing.assert_array_equal(whitening(x), loaded(x))
    assert loaded.power == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["whitening.npz"]


def test_a_file_of_another_format_is_refused(tmp_path):
    np.savez(tmp_path / "old.npz", mean=np.zeros(3))
    with pytest.raises(UserError, match="format 1"):
        PCAWhitening.load(tmp_path / "old.npz")


def test_a_pca_learnt_elsewhere_is_taken_over():
    x = descriptors(90, 14).astype(np.float64)
    pca = PCA(7, svd_solver="full").fit(x)
    ours = PCAWhitening.from_pca(pca.mean_, pca.components_, pca.explained_variance_, power=0.25)
    theirs = unit((x - pca.mean_) @ pca.components_.T / pca.explained_variance_**0.25)
    np.testing.assert_allclose(ours(x), theirs, atol=2e-6)
    with pytest.raises(UserError, match="explained_variance"):
        PCAWhitening.from_pca(pca.mean_, pca.components_, pca.explained_variance_[:6])


def test_real_descriptors_are_whitened(shared_data):
    x = np.load(shared_data / "descriptors" / "oxford5k_caffenet_fc7_pca128.npy")
    whitening = PCAWhitening.fit(x, 64)
    centred = np.asarray(x, np.float64) - whitening.mean
    y = centred @ np.asarray(whitening.projection, np.float64).T
    np.testing.assert_allclose(y.T @ y / len(x), np.eye(64), atol=1e-5)
