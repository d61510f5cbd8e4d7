"""How views are made, one row a recipe."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Ranges and probabilities of the operations that make a view.

    Attributes:
        area: Smallest and largest share of the photograph in the crop.
        ratio: Smallest and largest width / height of the crop.
        flip: Probability of mirroring, left to right.
        jitter: Probability of a change of colours.
        brightness: Its factor is drawn from 1 - brightness to 1 + brightness.
        contrast: Likewise.
        saturation: Likewise.
        hue: Hues are turned by at most this much of the colour circle.
        grey: Probability of greyscale.
        blur: Probability of Gaussian blur.
        sigma: Smallest and largest standard deviation of the blur, in pixels of the view.
        kernel: Width of the blur's kernel as a share of the view's side; None: as wide as its
            largest sigma needs.
    """

    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    kernel: float | None = None

    def radius(self, size: int) -> int:
        """Taps of the blur's kernel on each side of its middle, for views of `size` pixels."""
        if self.kernel is None:
            return min(math.ceil(4 * self.sigma[1]), size - 1)
        return int(self.kernel * size) // 2


# Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
# representations", ICML 2020, appendix A, colours at strength 1. Where the authors' TensorFlow
# code has another definition of an operation than torchvision (bicubic resize, contrast around
# the mean of each channel, saturation in HSV, zeros around a photograph that is blurred),
# torchvision's is taken.
SIMCLR = Recipe(
    area=(0.08, 1.0),
    brightness=0.8,
    contrast=0.8,
    saturation=0.8,
    hue=0.2,
    grey=0.2,
    blur=0.5,
    kernel=0.1,
)

# Chen, Fan, Girshick, He, "Improved baselines with momentum contrastive learning", 2020, and the
# authors' main_moco.py (--aug-plus). They blur with PIL, by three passes of a box; here it is the
# Gaussian that those stand for: 0.6 of 255 away at most, in the mean over a photograph, where the
# blur itself changes 1.5 to 9. They flip last, which gives the same views.
MOCOV2 = Recipe(
    area=(0.2, 1.0),
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey=0.2,
    blur=0.5,
)

# Our own, for learning from labels: other photographs of the same instance already show how its
# looks change, so these are mild changes of frame and light that leave it in the picture.
LIGHT = Recipe(area=(0.5, 1.0), brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)

RECIPES = {"simclr": SIMCLR, "mocov2": MOCOV2, "light": LIGHT}
