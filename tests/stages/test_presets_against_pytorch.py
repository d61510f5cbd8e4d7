"""Presets end to end: the public pipelines in PIL and PyTorch give the same descriptors.

Each pipeline is written here once more from the source that its preset names, over the twin of a
small Vision Transformer with the same random weights: photograph -> pixels -> vector of length 1.
"""

import io

import numpy as np
import pytest
import torch
import twins
from photographs import MemorySplit, encode, noise
from PIL import Image
from small_vits import small
from torch.nn import functional
from verification.files import random_twin

from jaxret.convert import from_state_dict
from jaxret.data.dataset import Dataset
from jaxret.descriptors.pooling import l2_normalize
from jaxret.runtime.artifacts import Store
from jaxret.runtime.timing import Clock
from jaxret.settings import Settings
from jaxret.stages.encoders import Identity
from jaxret.stages.features import Features

SIZES = ((97, 61), (60, 97), (60, 60), (40, 25))
BOX = (8, 5, 50, 40)


@pytest.fixture(scope="module")
def photographs():
    return [encode(noise(*size)) for size in SIZES]


def opened(photograph):
    return Image.open(io.BytesIO(photograph)).convert("RGB")


def normalized(image, spec):
    """ToTensor and Normalize of torchvision: [1, 3, H, W]."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (spec.mean, spec.std))
    return (pixels - mean) / std


def dino(image, spec):
    """eval_image_retrieval.py: the whole photograph, never enlarged; the network cuts patches."""
    image.thumbnail((64, 64), Image.Resampling.LANCZOS)
    return normalized(image, spec)


def ilias(image, spec):
    """LargeSideResize, then MultiplierPadding after the normalisation."""
    width, height = image.size
    ratio = float(height) / float(width)
    height = int(64 * ratio) if ratio <= 1 else 64
    width = int(64 / ratio) if ratio > 1 else 64
    pixels, patch = normalized(image.resize((width, height)), spec), dict(spec.arguments)["patch"]
    pads = [-side % patch for side in (width, height)]
    return functional.pad(pixels, [part for p in pads for part in (p // 2, p - p // 2)])


def dinov2(image, spec):
    """make_classification_eval_transform at 56 of 64 pixels, for 224 of 256."""
    width, height = image.size
    longer = int(64 * max(width, height) / min(width, height))
    size = (64, longer) if width <= height else (longer, 64)
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (round((side - 56) / 2.0) for side in image.size)
    return normalized(image.crop((left, top, left + 56, top + 56)), spec)


PIPELINES = {
    "dino": (dino, "dino-vits16", 64),
    "ilias": (ilias, "dinov2-small-reg", 64),
    "dinov2": (dinov2, "dinov2-small", 56),
}


def theirs(preset, photographs, spec, twin):
    prepare, _, _ = PIPELINES[preset]
    with torch.no_grad():
        vectors = [twin(prepare(opened(one), spec))["cls"][0] for one in photographs]
    return functional.normalize(torch.stack(vectors), dim=1).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("preset", PIPELINES)
def test_a_preset_is_the_public_pipeline(preset, photographs, tmp_path):
    _, name, size = PIPELINES[preset]
    spec = small(name)
    twin = random_twin(spec, 1)
    encoder = from_state_dict(spec, twins.published_state(spec, twin))
    settings = Settings.of_preset(preset, model=name, dataset="roxford5k", image_size=size)
    spec = spec.with_conventions(**settings.conventions)
    split = MemorySplit(photographs, [BOX] * len(photographs))
    dataset = Dataset("roxford5k", "1", split, split)
    features = Features.of(Identity(name, spec, encoder.digest()), dataset, settings)
    assert features.recalibration is None
    made = features.make(
        split, lambda: type(encoder)(spec, encoder.variables), Store(tmp_path), Clock()
    )
    ours = np.asarray(l2_normalize(made.vectors))
    np.testing.assert_allclose(ours, theirs(preset, photographs, spec, twin), atol=1e-5)
    assert np.abs(ours[0] - ours[1]).max() > 1e-3  # there is something to be told apart
