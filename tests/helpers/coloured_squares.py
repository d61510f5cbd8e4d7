"""A split of plain squares, and rankings of it."""

import io

import numpy as np
from PIL import Image

from jaxret.data.images.decode import BadImage


class Photographs:
    """Plain squares of one colour each, encoded as files are."""

    def __init__(self, count, box=None, size=(400, 300), exif=None):
        self.names = [f"photo {number}.png" for number in range(count)]
        self.boxes = [box] * count
        self.size, self.exif, self.broken = size, exif, set()

    def __len__(self):
        return len(self.names)

    def read(self, index):
        if index in self.broken:
            raise BadImage(self.names[index], "it does not decode")
        written = io.BytesIO()
        more = {"exif": self.exif} if self.exif else {}
        Image.new("RGB", self.size, (index % 256, 90, 140)).save(written, "PNG", **more)
        return written.getvalue()


def ranks_of(*first, queries=12, count=20):
    rest = [image for image in range(count) if image not in first]
    return np.array([[*first, *rest]] * queries)
