"""Real photographs at chosen sizes, and how far two maps are apart."""

from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
from PIL import Image


@pytest.fixture(scope="session")
def photographs() -> Callable[..., np.ndarray]:
    """(height, width, count=2) -> uint8 [count, height, width, 3], resized from scikit-image's."""
    originals = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]

    def make(height: int, width: int, count: int = 2) -> np.ndarray:
        pictures = []
        for i in range(count):
            picture = Image.fromarray(originals[i % len(originals)])
            # Every third one is mirrored, so that a longer batch has no two pictures alike.
            if i // len(originals) % 2:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            turned = picture.rotate(90 * (i // (2 * len(originals))), expand=True)
            pictures.append(np.asarray(turned.resize((width, height), Image.Resampling.BILINEAR)))
        return np.stack(pictures)

    return make


@pytest.fixture(scope="session")
def relative_difference() -> Callable[[np.ndarray, np.ndarray], float]:
    """Max abs difference over max abs of the expected map."""

    def measure(actual: np.ndarray, expected: np.ndarray) -> float:
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert actual.shape == expected.shape
        return float(np.abs(actual - expected).max() / np.abs(expected).max())

    return measure
