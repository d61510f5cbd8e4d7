"""A photograph taken again: another viewpoint, distance, light and camera, drawn from a seed.

Randomness comes from `random.Random`, whose streams Python promises to keep, and arithmetic on
pixels from integer tables, so that the same seed gives the same picture on other machines.
"""

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

from jaxret.data.dataset import Box

LONG_SIDE, SHORT_SIDE = 448, 336  # pixels of a photograph taken again
Range = tuple[float, float]
Quad = np.ndarray  # [4, 2]: where the corners of the new photograph lie in the old one


@dataclass(frozen=True)
class Strength:
    """How far the new photograph may be from the old one.

    Attributes:
        visible: share of the object that must be, and may be, in the picture.
        zoom: width of the view over the width that just holds the object.
        shift: of the view's centre from the object's, in object sizes.
        turn: of the camera around its axis, at most, in degrees.
        perspective: shift of each corner, at most, in view widths.
        gain: of the light.
        cast: of each colour's gain around that, at most.
        blur: radius in pixels, at most.
        noise: levels of 255, at most.
        quality: of the JPEG.
        print_on_wall: the old photograph hangs as a print before another background.
    """

    visible: Range
    zoom: Range
    shift: float
    turn: float
    perspective: float
    gain: Range
    cast: float
    blur: float
    noise: int
    quality: tuple[int, int]
    print_on_wall: bool = False


def rephotograph(
    source: Image.Image, box: Box, strength: Strength, seed: str, wall: Image.Image | None = None
) -> tuple[bytes, Box]:
    """One new photograph as JPEG, and where in it the object is.

    Args:
        source: the old photograph, RGB.
        box: the object in it.
        strength: limits of the change.
        seed: decides everything else.
        wall: background behind a print.
    """
    rng = random.Random(seed)
    size, quad = _viewpoint(rng, source.size, box, strength)
    if strength.print_on_wall:
        image = _print_on_wall(source, quad, size, wall or _plain_wall(rng, size))
    else:
        image = _look(source, quad, size)
    image = _light(rng, image, strength)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, strength.blur)))
    image = _noise(rng, image, rng.randint(0, strength.noise))
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=rng.randint(*strength.quality))
    return encoded.getvalue(), _seen_box(box, quad, size)


def _viewpoint(
    rng: random.Random, source_size: tuple[int, int], box: Box, strength: Strength
) -> tuple[tuple[int, int], Quad]:
    """Size of the new photograph and its corners in the old one, within the limits."""
    x1, y1, x2, y2 = box
    extent = np.array([x2 - x1, y2 - y1])
    for _ in range(10_000):
        wide = rng.random() < (0.75 if extent[0] >= extent[1] else 0.3)
        size = (LONG_SIDE, SHORT_SIDE) if wide else (SHORT_SIDE, LONG_SIDE)
        view = np.array(size) * (extent / size).max() * rng.uniform(*strength.zoom)
        shift = np.array([rng.uniform(-strength.shift, strength.shift) for _ in "xy"])
        centre = np.array([x1 + x2, y1 + y2]) / 2 + shift * extent
        corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        corners += [[rng.uniform(-1, 1) * strength.perspective for _ in "xy"] for _ in corners]
        angle = math.radians(rng.uniform(-strength.turn, strength.turn))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        quad = centre + (corners * view) @ turn.T
        inside = (quad >= 0).all() and (quad <= np.array(source_size)).all()
        low, high = strength.visible
        if (inside or strength.print_on_wall) and low <= _visible(box, quad, size) <= high:
            return size, quad
    raise RuntimeError(f"no viewpoint shows {strength.visible} of {box} in {source_size}")


def _homography(quad: Quad, size: tuple[int, int]) -> np.ndarray:
    """[3, 3] from pixels of the new photograph to pixels of the old, corners to corners."""
    width, height = size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    rows, right = [], []
    for (u, v), (x, y) in zip(corners, quad, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -x * u, -x * v], [0, 0, 0, u, v, 1, -y * u, -y * v]]
        right += [x, y]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right)), 1).reshape(3, 3)


def _seen_points(box: Box, quad: Quad, size: tuple[int, int]) -> np.ndarray:
    """[400, 2] points spread over the object, in pixels of the new photograph."""
    xs, ys = (np.linspace(low, high, 20) for low, high in (box[0::2], box[1::2]))
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    seen = np.c_[points, np.ones(len(points))] @ np.linalg.inv(_homography(quad, size)).T
    return seen[:, :2] / seen[:, 2:]


def _visible(box: Box, quad: Quad, size: tuple[int, int]) -> float:
    seen = _seen_points(box, quad, size)
    return float(((seen >= 0) & (seen <= np.array(size))).all(axis=1).mean())


def _seen_box(box: Box, quad: Quad, size: tuple[int, int]) -> Box:
    seen = np.clip(_seen_points(box, quad, size), 0, np.array(size))
    (x1, y1), (x2, y2) = seen.min(axis=0), seen.max(axis=0)
    return round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)


def _look(source: Image.Image, quad: Quad, size: tuple[int, int]) -> Image.Image:
    """The old photograph seen through the quad; shrunk first, as PIL's warp does not antialias."""
    spread = np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1).max()
    shrink = min(1.0, 1.25 * max(size) / spread)
    small = (max(1, round(source.width * shrink)), max(1, round(source.height * shrink)))
    scale = np.array(small) / np.array(source.size)
    matrix = _homography(quad * scale, size)
    return source.resize(small, Image.Resampling.LANCZOS).transform(
        size, Image.Transform.PERSPECTIVE, matrix.ravel()[:8].tolist(), Image.Resampling.BICUBIC
    )


def _print_on_wall(
    source: Image.Image, quad: Quad, size: tuple[int, int], wall: Image.Image
) -> Image.Image:
    margin = max(source.size) // 25
    bordered = ImageOps.expand(source, margin, (236, 234, 228)).convert("RGBA")
    seen = _look(bordered, quad + margin, size)
    shadow = ImageChops.offset(seen.getchannel("A").filter(ImageFilter.GaussianBlur(7)), 4, 6)
    wall = ImageOps.fit(wall, size)
    wall = Image.composite(wall.point([v * 55 // 100 for v in range(256)] * 3), wall, shadow)
    wall.paste(seen, (0, 0), seen)
    return wall


def _plain_wall(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Paint of one muted colour under uneven light."""
    grey = rng.randint(90, 200)
    base = [grey + rng.randint(-25, 25) for _ in "rgb"]
    lights = [rng.randint(-18, 18) for _ in range(7 * 5)]
    cells = bytes(level + light for light in lights for level in base)
    return Image.frombytes("RGB", (7, 5), cells).resize(size, Image.Resampling.BICUBIC)


def _light(rng: random.Random, image: Image.Image, strength: Strength) -> Image.Image:
    """Gain and colour cast, as one table a channel."""
    gain = rng.uniform(*strength.gain)
    table: list[int] = []
    for _ in "rgb":
        own = gain * (1 + rng.uniform(-strength.cast, strength.cast))
        table += [min(255, round(level * own)) for level in range(256)]
    return image.point(table)


def _noise(rng: random.Random, image: Image.Image, levels: int) -> Image.Image:
    """Triangular noise of at most `levels`, as of a sensor in low light."""
    count = image.width * image.height * 3
    first, second = (
        np.frombuffer(rng.randbytes(count), np.uint8).astype(np.int16) for _ in range(2)
    )
    grain = ((first - second) * levels // 256).reshape(image.height, image.width, 3)
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
