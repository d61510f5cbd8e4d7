"""A photograph's stored pixels, opened by what its bytes are.

Pillow looks at a picture's size as soon as it is opened: above 89 million pixels it warns without
naming the file, above twice that it refuses. Phones take JPEGs of 200 million pixels. They are
decoded at a half, a quarter or an eighth (the DCT's own scales), far above what an encoder takes.
"""

import functools
import io
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from PIL import Image

from jaxret.data.images import formats
from jaxret.errors import UserError

DECODERS = ("pil", "simplejpeg")
LEAST_SIDE = 2  # pixels; a single one shows nothing, and is what a broken upload often leaves
MOST_PIXELS = 178_956_970  # decoded of one photograph, Pillow's own limit: 512 MiB of RGB
MOST_JPEG_PIXELS = 500_000_000  # a progressive one keeps all coefficients in memory, 1.5 GiB
REDUCTIONS = (1, 2, 4, 8)  # a JPEG's, by libjpeg
ORIENTATION_TAG = 0x0112

_opening = threading.Lock()


class BadImage(UserError):  # noqa: N818 - the photograph is bad, nothing erred
    """A photograph that cannot be used; `name` is the photograph's, `reason` why.

    Attributes:
        name: the photograph's, printable.
        reason: half a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Photograph {self.name!r} cannot be used: {self.reason}. "
            "Replace or remove it, or leave it out with --on_bad_image=skip."
        )


@dataclass(frozen=True)
class Opened:
    """The first frame of a photograph.

    Attributes:
        image: its pixels as stored, decoded, perhaps at a reduced scale.
        orientation: EXIF's, 1 for upright.
        size: width and height as stored.
    """

    image: Image.Image
    orientation: int
    size: tuple[int, int]


def open_photograph(encoded: bytes, name: str, decoder: str = "pil") -> Opened:
    """The first frame as stored, fully decoded. Raises `BadImage` that names it."""
    if not encoded:
        raise BadImage(name, "the file is empty")
    found = formats.format_of(encoded[: formats.HEADER_BYTES])
    if found is not None and (reason := formats.lacking(found)):
        raise BadImage(name, reason)
    try:
        if found == formats.JPEG_XL:
            _check_size(formats.jpeg_xl_size(encoded), MOST_PIXELS, name)
        image = _unwarned(encoded)
        size = image.size
        image = _decoded(image, encoded, name, decoder)
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise BadImage(name, "it is no picture of a known format") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and a dozen more
        reason = " ".join(str(error).split())
        raise BadImage(name, f"it does not decode ({reason})") from error
    if max(image.size) < LEAST_SIDE:
        raise BadImage(name, f"its {image.width}x{image.height} pixels show nothing")
    return Opened(image, _orientation(image), size)


def peek(encoded: bytes) -> tuple[int, tuple[int, int]]:
    """EXIF orientation, and width and height as stored, by the file's header alone.

    Raises:
        Exception: any decoder's any error, where the header cannot be read.
    """
    found = formats.format_of(encoded[: formats.HEADER_BYTES])
    if found is not None and (reason := formats.lacking(found)):
        raise ValueError(reason)
    if found == formats.JPEG_XL and math.prod(size := formats.jpeg_xl_size(encoded)) > MOST_PIXELS:
        return 1, size  # its plugin decodes what it opens
    image = _unwarned(encoded)
    return _orientation(image), image.size


def _unwarned(encoded: bytes) -> Image.Image:
    """`Image.open` without its look at the size, which a warning or an error of ours replaces."""
    with without_limit():
        return Image.open(io.BytesIO(encoded))


@contextmanager
def without_limit() -> Iterator[None]:
    """Pillow's limit is the whole process's: lifted by one thread after the other."""
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decoded(image: Image.Image, encoded: bytes, name: str, decoder: str) -> Image.Image:
    reducible = image.format in ("JPEG", "MPO")
    _check_size(image.size, MOST_JPEG_PIXELS if reducible else MOST_PIXELS, name)
    if reducible and (reduction := _reduction(image.size)) > 1:
        image.draft(None, (image.width // reduction, image.height // reduction))
    elif decoder == "simplejpeg" and image.format == "JPEG" and image.mode == "RGB":
        pixels = Image.fromarray(_simplejpeg().decode_jpeg(encoded, "RGB", strict=True))
        pixels.info.update({key: image.info[key] for key in ("exif",) if key in image.info})
        return pixels
    if math.prod(image.size) > (Image.MAX_IMAGE_PIXELS or MOST_PIXELS):
        with without_limit():  # TIFF's reader looks at the size once more
            image.load()
    image.load()
    return image


def _reduction(size: tuple[int, int]) -> int:
    """How many times less wide and high a JPEG is decoded, so that it is within `MOST_PIXELS`."""
    pixels = size[0] * size[1]
    return next(times for times in REDUCTIONS if pixels <= MOST_PIXELS * times**2)


def _check_size(size: tuple[int, int], most: int, name: str) -> None:
    if size[0] * size[1] > most:
        raise BadImage(
            name,
            f"its {size[0]}x{size[1]} are more pixels than a photograph has (at most "
            f"{most // 10**6} million here; JPEGs may have {MOST_JPEG_PIXELS // 10**6} million)",
        )


def _orientation(image: Image.Image) -> int:
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1  # its decoder has turned the pixels upright; ISO/IEC 18181 puts that before EXIF
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a broken note beside the picture does not make the picture unusable
        return 1


@functools.cache
def _simplejpeg() -> ModuleType:
    try:
        import simplejpeg
    except ImportError as error:
        raise UserError(
            "The decoder simplejpeg is not installed: pip install simplejpeg, or decode by PIL."
        ) from error
    return simplejpeg
