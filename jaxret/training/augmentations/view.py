"""One view of one photograph: everything that chance decides, and then what is done."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxret.training.augmentations.blur import gaussian_blur
from jaxret.training.augmentations.colour import Jitter, apply_jitter, draw_jitter, to_grey
from jaxret.training.augmentations.geometry import draw_box, resized_crop
from jaxret.training.augmentations.recipes import Recipe


class View(NamedTuple):
    """What is done to a photograph, in this order.

    Attributes:
        box: int32 [4], top, left, height and width of what is cut out.
        flipped: Whether it is mirrored, left to right.
        jittered: Whether its colours are changed.
        jitter: In what way.
        grey: Whether it is made grey.
        blurred: Whether it is blurred.
        sigma: Standard deviation of the blur, in pixels of the view.
    """

    box: jax.Array
    flipped: jax.Array
    jittered: jax.Array
    jitter: Jitter
    grey: jax.Array
    blurred: jax.Array
    sigma: jax.Array


def draw_view(key: jax.Array, height: int, width: int, recipe: Recipe) -> View:
    """Draws a view of a photograph of that size."""
    box_key, jitter_key, sigma_key, chance_key = jax.random.split(key, 4)
    chances = jnp.array([recipe.flip, recipe.jitter, recipe.grey, recipe.blur])
    flipped, jittered, grey, blurred = jax.random.bernoulli(chance_key, chances)
    return View(
        box=draw_box(box_key, height, width, recipe.area, recipe.ratio),
        flipped=flipped,
        jittered=jittered,
        jitter=draw_jitter(
            jitter_key, recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue
        ),
        grey=grey,
        blurred=blurred,
        sigma=jax.random.uniform(sigma_key, minval=recipe.sigma[0], maxval=recipe.sigma[1]),
    )


def make_view(view: View, image: jax.Array, recipe: Recipe, size: int) -> jax.Array:
    """Makes it from a photograph [H, W, 3]: float32 [size, size, 3] in 0..255.

    An operation of probability 0 costs nothing; any other is computed for every photograph.
    """
    planes = resized_crop(image, view.box, size, view.flipped)
    if recipe.jitter:
        planes = jnp.where(view.jittered, apply_jitter(planes, view.jitter), planes)
    if recipe.grey:
        planes = jnp.where(view.grey, to_grey(planes), planes)
    if recipe.blur:
        blurred = gaussian_blur(planes, view.sigma, recipe.radius(size))
        planes = jnp.where(view.blurred, blurred, planes)
    return planes.transpose(1, 2, 0)
