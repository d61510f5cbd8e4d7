"""Views of four things out of scikit-image, of which tests make folders of photographs."""

import io

from PIL import Image
from skimage import data as photographs

THINGS = ("astronaut", "chelsea", "coffee", "rocket")
VIEWS = 4  # of a thing in the database; the next one is its query


def view(thing: str, number: int) -> bytes:
    """A JPEG of 160x120 pixels; the higher the number, the less of the thing is left."""
    whole = Image.fromarray(getattr(photographs, thing)())
    left, top = 8 * number, 5 * number
    cut = whole.crop((left, top, whole.width - left // 2, whole.height)).resize((160, 120))
    stream = io.BytesIO()
    cut.save(stream, "JPEG", quality=90)
    return stream.getvalue()
