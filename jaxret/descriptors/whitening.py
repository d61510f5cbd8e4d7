"""PCA-whitening of descriptors: centre, rotate to the principal directions, scale, L2-normalise.

Source: Jegou, Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA
and whitening", ECCV 2012. The decomposition is made on the host in float64, once: a smaller
dimension is a prefix of a larger one (`PCAWhitening.truncate`).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxret import defaults
from jaxret.descriptors.pooling import l2_normalize
from jaxret.errors import UserError
from jaxret.runtime.artifacts import read_arrays, write_arrays

FORMAT_VERSION = 1
# A direction of less than 1e-12 of the largest variance is float32's rounding, not data.
LEAST_VARIANCE = 1e-12
BLOCK = 4096  # rows or columns taken to float64 at a time, so that memory stays flat


@dataclass(frozen=True, eq=False)
class PCAWhitening:
    """y = l2_normalize(diag(variance^-power) components (x - mean)), for rows x.

    Attributes:
      mean: [C] float64.
      components: [dim, C] float64, orthonormal rows of falling variance; the entry of largest
        magnitude of each is positive, so that the signs do not depend on the solver.
      variance: [dim] float64, of the data along each component (divisor N).
      power: 0.5 whitens fully; 0 only rotates.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    power: float = 0.5

    @classmethod
    def fit(
        cls, x: ArrayLike, dim: int = defaults.PCA_DIM, power: float = 0.5, floor: float = 0.0
    ) -> Self:
        """Learns the whitening from the rows of `x`.

        Args:
          x: [N, C] descriptors.
          dim: directions kept, at most min(N - 1, C): centred rows span no more.
          power: exponent of the variance that is divided by.
          floor: variances below this part of the largest are raised to it, so that directions
            that hold only noise are not blown up (1e-5 in VISSL's instance retrieval).

        Raises:
          UserError: `x` holds NaN or infinity or has no spread, or `dim` is out of range.
        """
        rows = _checked_rows(x)
        _check_dimension(dim, rows)
        mean = rows.mean(axis=0, dtype=np.float64)
        solve = _principal_by_rows if rows.shape[0] < rows.shape[1] else _principal_by_columns
        variance, components = solve(rows, mean, dim)
        if not variance[0] > 0:
            raise UserError(
                "All descriptors are equal: there is nothing to whiten (--pca_dim=true does not)."
            )
        variance = np.maximum(variance, floor * variance[0])
        return cls(mean, _with_fixed_signs(components), variance, power)

    @classmethod
    def from_pca(
        cls,
        mean: ArrayLike,
        components: ArrayLike,
        explained_variance: ArrayLike,
        power: float = 0.5,
    ) -> Self:
        """Takes over a PCA that was learnt elsewhere, e.g. the one stored in a checkpoint.

        Args:
          mean: [C]. components: [dim, C]. explained_variance: [dim], all as scikit-learn's PCA
            names them; the signs are kept.
          power: 0.25 is what the release of GeM(AP) (deep-image-retrieval) divides by.
        """
        mean, components, variance = (
            np.asarray(array, np.float64) for array in (mean, components, explained_variance)
        )
        if components.ndim != 2 or (variance.shape, mean.shape) != (
            components.shape[:1],
            components.shape[1:],
        ):
            raise UserError(
                "A PCA needs mean [C], components [dim, C] and explained_variance [dim], got "
                f"{list(mean.shape)}, {list(components.shape)} and {list(variance.shape)}."
            )
        return cls(mean, components, variance, power)

    @property
    def dim(self) -> int:
        """Length of the whitened descriptors."""
        return self.components.shape[0]

    @cached_property
    def projection(self) -> jax.Array:
        """[dim, C] float32: diag(variance^-power) components; rows without variance are zero.

        Where the power is 0 nothing is divided, and all rows are kept.
        """
        kept = (self.variance > LEAST_VARIANCE * self.variance.max()) | (self.power == 0)
        scale = np.where(kept, np.where(kept, self.variance, 1.0) ** -self.power, 0.0)
        return jnp.asarray(scale[:, None] * self.components, jnp.float32)

    def truncate(self, dim: int) -> Self:
        """The whitening to the first `dim` directions: what `fit` with that `dim` gives."""
        if not 1 <= dim <= self.dim:
            raise UserError(
                f"Cannot cut a whitening of {self.dim} dimensions to {dim}: fit it with a larger "
                "dimension."
            )
        return type(self)(self.mean, self.components[:dim], self.variance[:dim], self.power)

    def __call__(self, x: ArrayLike) -> jax.Array:
        """[N, C] -> [N, dim] float32, rows L2-normalised (a row equal to the mean stays zero).

        Raises:
          UserError: rows of another length, or with NaN or infinity.
        """
        if np.ndim(x) != 2 or np.shape(x)[1] != self.mean.size:
            raise UserError(
                f"This whitening takes descriptors of shape [N, {self.mean.size}], got "
                f"{list(np.shape(x))}: use the model it was learnt with, or fit it again."
            )
        rows = jnp.asarray(x, jnp.float32)
        whitened, finite = _whiten(rows, jnp.asarray(self.mean, jnp.float32), self.projection)
        if not finite.all():
            raise UserError(_not_finite(int(np.argmin(np.asarray(finite)))))
        return whitened

    def save(self, path: str | Path) -> None:
        """Writes an .npz, whole or not at all."""
        write_arrays(
            Path(path),
            format_version=np.array(FORMAT_VERSION),
            mean=self.mean,
            components=self.components,
            variance=self.variance,
            power=np.array(self.power),
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote."""
        stored = read_arrays(Path(path))
        version = int(stored.get("format_version", np.array(0)))
        if version != FORMAT_VERSION:
            raise UserError(
                f"{path} is no whitening of format {FORMAT_VERSION} (found {version}): fit and "
                "save it again."
            )
        return cls(stored["mean"], stored["components"], stored["variance"], float(stored["power"]))


@jax.jit
def _whiten(x: jax.Array, mean: jax.Array, projection: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The whitened rows, and which rows of x are finite."""
    # Full float32 products: GPUs and TPUs would otherwise round to TF32 or bfloat16.
    projected = jnp.matmul(x - mean[None], projection.T, precision=jax.lax.Precision.HIGHEST)
    return l2_normalize(projected), jnp.isfinite(x).all(axis=1)


def _not_finite(row: int) -> str:
    return (
        f"Descriptor {row} (0-based) holds NaN or infinity: extract it again, or leave that "
        "photograph out."
    )


def _checked_rows(x: ArrayLike) -> np.ndarray:
    rows = np.asarray(x)
    if rows.ndim != 2:
        raise UserError(f"Whitening is learnt from descriptors [N, C], got {list(rows.shape)}.")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise UserError(_not_finite(int(np.argmin(finite))))
    return rows


def _check_dimension(dim: int, rows: np.ndarray) -> None:
    count, channels = rows.shape
    allowed = min(count - 1, channels)
    if not 1 <= dim <= allowed:
        raise UserError(
            f"{dim} PCA dimensions cannot be learnt from {count} descriptors of {channels} "
            f"channels: choose 1 to min(N - 1, C) = {allowed}, or learn on a larger dataset."
        )


def _blocks(length: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, length, BLOCK)]


def _largest_eigenpairs(matrix: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [dim] and eigenvectors [n, dim] of a symmetric matrix, largest first."""
    # All of them: LAPACK's divide and conquer is several times faster than its subset solver.
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1][:dim], vectors[:, ::-1][:, :dim]


def _principal_by_columns(
    rows: np.ndarray, mean: np.ndarray, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Variances and components from the C x C covariance, for N >= C."""
    covariance = np.zeros((mean.size, mean.size))
    for block in _blocks(rows.shape[0]):
        centred = rows[block] - mean
        covariance += centred.T @ centred
    values, vectors = _largest_eigenpairs(covariance, dim)
    return values / rows.shape[0], vectors.T


def _principal_by_rows(
    rows: np.ndarray, mean: np.ndarray, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Variances and components from the N x N Gram matrix, for N < C.

    Xc Xc^T and Xc^T Xc have the same eigenvalues other than 0; an eigenvector u of the first gives
    Xc^T u of the second.
    """
    gram = np.zeros((rows.shape[0],) * 2)
    for block in _blocks(mean.size):
        centred = rows[:, block] - mean[block]
        gram += centred @ centred.T
    values, vectors = _largest_eigenpairs(gram, dim)
    components = np.empty((dim, mean.size))
    for block in _blocks(mean.size):
        components[:, block] = vectors.T @ (rows[:, block] - mean[block])
    components /= np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-300)
    return values / rows.shape[0], components


def _with_fixed_signs(components: np.ndarray) -> np.ndarray:
    largest = np.argmax(np.abs(components), axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return components * np.where(signs == 0, 1.0, signs)[:, None]
