"""The PCA that a checkpoint brings along (deep-image-retrieval keeps one beside its weights)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxret.errors import UserError

_NAMES = ("mean", "components", "explained_variance")
_PREFERRED = "Landmarks_clean"  # what the authors' own evaluation takes by default


def stored_pca(extras: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """{"mean" [C], "components" [D, C], "explained_variance" [D]} from a file's entry "pca".

    One that was fitted with whiten=False only rotates, and has "whiten": False beside them.

    The entry may be the PCA itself or a mapping of names to several; of these the authors'
    default is taken, or else the first.

    Raises:
        UserError: There is a PCA, and its arrays do not fit together.
    """
    found = extras.get("pca")
    if isinstance(found, Mapping) and "components" not in found and found:
        found = found.get(_PREFERRED, next(iter(found.values())))
    if not isinstance(found, Mapping):
        return None
    absent = [name for name in _NAMES if name not in found]
    if absent:
        raise UserError(f"The PCA beside the weights lacks {', '.join(absent)}.")
    pca = {name: np.asarray(found[name]) for name in _NAMES}
    dimension, channels = np.shape(pca["components"])
    if pca["mean"].shape != (channels,) or pca["explained_variance"].shape != (dimension,):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in pca.items())
        raise UserError(f"The arrays of the PCA beside the weights do not fit together: {shapes}.")
    if not bool(found.get("whiten", True)):
        pca["whiten"] = np.array(False)
    return pca
