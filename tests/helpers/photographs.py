"""Photographs made of noise, encoded, and a split of such in memory."""

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image


def encode(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@dataclass
class MemorySplit:
    contents: list[bytes]
    boxes: list = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.names = [f"photo{i}.png" for i in range(len(self.contents))]
        self.boxes = self.boxes or [None] * len(self.contents)

    def __len__(self):
        return len(self.contents)

    def read(self, index):
        self.reads.append(index)
        return self.contents[index]

    def fingerprint(self):
        return "memory"
