"""The whole way of a checkpoint, in both frameworks: file, converter, disk, load, forward."""

import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from twins import build

from jaxret.convert import convert_file
from jaxret.convert.reading import read_checkpoint
from jaxret.models import ModelSpec
from jaxret.models.weights.loading import load_folder
from verification.comparison import Verdict, compare
from verification.files import fill, random_twin, write_published


def verify(
    spec: ModelSpec,
    checkpoint: str | None = None,
    size: tuple[int, int] = (224, 224),
    count: int = 2,
    seed: int = 0,
    float64: bool = False,
) -> Verdict:
    """File, converter, weights on disk, load, forward; PyTorch beside it.

    Raises:
        UserError: the checkpoint cannot be read or is not of this model.
    """
    twin = build(spec) if checkpoint else random_twin(spec, seed)
    with tempfile.TemporaryDirectory(prefix="jaxret-verify-") as name:
        folder = Path(name)
        if checkpoint is None:
            source = write_published(spec, twin, folder)
            weights = f"random, seed {seed}"
        else:
            source = Path(checkpoint)
            fill(twin, spec, read_checkpoint(source).tensors)
            weights = str(source)
        done = convert_file(spec, source, folder / "converted")
        if checkpoint is None:
            source.unlink()  # the largest files: twice on disk is enough
        encoder = load_folder(spec, folder / "converted")
    images = photographs(size, count)
    stages, cosine, seconds = compare(twin, encoder, images, float64)
    return Verdict(
        model=spec.name,
        parameters=done.provenance.parameters,
        weights=weights,
        images=(count, *size),
        stages=stages,
        cosine=cosine,
        seconds=seconds,
        notes=(f"{source.name} ({done.form}) -> {done.report.summary()}",),
    )


def photographs(size: tuple[int, int], count: int) -> np.ndarray:
    """Real photographs of scikit-image as uint8 [count, height, width, 3]."""
    loaders = [skimage.data.coffee, skimage.data.chelsea, skimage.data.astronaut]
    height, width = size
    pictures = []
    for i in range(count):
        picture = Image.fromarray(loaders[i % len(loaders)]())
        turned = picture.rotate(90 * (i // len(loaders)), expand=True)
        pictures.append(np.asarray(turned.resize((width, height), Image.Resampling.BILINEAR)))
    return np.stack(pictures)
