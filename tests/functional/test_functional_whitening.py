import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rows import unit

from jaxret import PCAWhitening, functional


@pytest.mark.parametrize(("count", "channels"), [(90, 31), (31, 90), (40, 40)])
@pytest.mark.parametrize("power", [0.5, 0.25])
def test_is_the_whitening_of_the_host(count, channels, power):
    x = unit(count, channels) * np.linspace(1, 0.01, channels, dtype=np.float32)
    mean, projection = functional.whitening(x, 20, power)
    expected = PCAWhitening.fit(x, 20, power)
    np.testing.assert_allclose(mean, expected.mean, atol=1e-7)
    np.testing.assert_allclose(projection, expected.projection, rtol=1e-4, atol=1e-4)
    asked = unit(7, channels, seed=1)
    np.testing.assert_allclose(
        functional.whiten(asked, mean, projection), expected(asked), atol=1e-5
    )
    assert mean.dtype == projection.dtype == jnp.float32


def test_directions_without_variance_are_left_out():
    x = np.pad(unit(50, 3), ((0, 0), (0, 4)))
    projection = np.asarray(functional.whitening(x, 5)[1])
    assert (projection[3:] == 0).all() and (np.abs(projection[:3]).max(axis=1) > 0).all()


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(platform):
    traced = functional.whitening.trace(jax.ShapeDtypeStruct((50, 8), np.float32), dim=4)
    assert traced.lower(lowering_platforms=(platform,)).as_text()
