"""Views of photographs to learn from, made on the device inside a jitted step.

Every photograph has a key of its own: its view depends on the key, the photograph and the recipe,
not on what else is in the batch, nor on the number of devices. The operations are those of
torchvision, in floating point throughout (on PIL images torchvision rounds after each).

Why not dm-pix 0.4.5, the maintained library of such operations in JAX: they are TensorFlow's. On a
photograph, its flip, greyscale and `adjust_hue` are torchvision's within 1e-4 of 255, and it runs
under strict rank promotion. Its other operations are different ones: brightness is added, contrast
is around the mean of each channel (up to 14 of 255 away at a factor of 1.6), saturation is HSV's
(up to 61). Its blur takes what lies around a photograph for black, which darkens the edges (up to
126 at sigma 1.5), and on 64 views of 128 x 128, a sigma each, it took 300 ms on two CPU cores,
ours 10. It has no crop with resize. What is left would be a requirement for three short functions.
"""

import functools

import jax

from jaxret.training.augmentations.recipes import LIGHT, MOCOV2, RECIPES, SIMCLR, Recipe
from jaxret.training.augmentations.view import draw_view, make_view

__all__ = ["LIGHT", "MOCOV2", "RECIPES", "SIMCLR", "Recipe", "augment"]


def augment(keys: jax.Array, images: jax.Array, recipe: Recipe, size: int) -> jax.Array:
    """Makes one view of each photograph: crop, flip, colours, greyscale, blur.

    Args:
        keys: Typed PRNG keys [B], one a photograph.
        images: uint8 [B, H, W, 3].
        recipe: Static.
        size: Pixels a side of the views; static.

    Returns:
        float32 [B, size, size, 3] in 0..255.
    """
    return jax.vmap(functools.partial(_augment_one, recipe=recipe, size=size))(keys, images)


def _augment_one(key: jax.Array, image: jax.Array, recipe: Recipe, size: int) -> jax.Array:
    view = draw_view(key, image.shape[0], image.shape[1], recipe)
    return make_view(view, image, recipe, size)
