"""Every row holds what it promises; a row without expectations fails."""

import pytest

from jaxret import UserError, models
from jaxret.convert.layouts import layouts_of
from jaxret.models.encoder import count_parameters, network, template


def bottleneck_resnet(blocks, width=1):
    """Convolutions and BN pairs of a ResNet with bottlenecks, written out."""
    stem = 64 * width
    total, inputs = 3 * 49 * stem + 2 * stem, stem
    for stage, count in enumerate(blocks):
        planes = 64 * width * 2**stage
        for i in range(count):
            total += inputs * planes + 9 * planes**2 + 4 * planes**2 + 2 * (planes + planes)
            total += 2 * 4 * planes
            if i == 0:
                total += inputs * 4 * planes + 2 * 4 * planes
            inputs = 4 * planes
    return total


def amdim(d, rkhs, depth=10):
    """Convolutions of the trunk, biases of the first two, BN pair of the last."""
    blocks = [(d, 2 * d, 4), (2 * d, 4 * d, 4), (4 * d, 8 * d, 2), (8 * d, 8 * d, 3)]
    total = 3 * 25 * d + d + 9 * d**2 + d
    for inputs, outputs, window in [*blocks, blocks[-1]]:
        total += window**2 * inputs * outputs + outputs**2 + (depth - 1) * 2 * outputs**2
    return total + 9 * 8 * d * rkhs + rkhs**2 + 2 * rkhs


def vit(width, depth, patch, side, hidden=0, prefix=1, scale=0, gated=False, biases=3, table=True):
    """A Vision Transformer written out: `prefix` tokens before the patches, cls first among them.

    `scale` counts the LayerScales of a block, `biases` those of query, key and value.
    """
    hidden = hidden or 4 * width
    mlp = (3 if gated else 2) * hidden * width + (2 if gated else 1) * hidden + width
    attention = 4 * width**2 + (biases + 1) * width
    block = attention + mlp + (4 + scale) * width
    positions = (side**2 + min(prefix, 1)) * width if table else 0
    patches = 3 * patch**2 * width + width
    return patches + positions + prefix * width + depth * block + 2 * width


def map_head(width, hidden=0):
    """One query, its attention, normalisation and MLP."""
    hidden = hidden or 4 * width
    return width + 4 * width**2 + 4 * width + 2 * width + 2 * hidden * width + hidden + width


def clip(width, depth, patch, side, projection):
    """No bias of the patches, a normalisation before the blocks, a projection."""
    return vit(width, depth, patch, side) - width + 2 * width + width * projection


def siglip(width, depth, patch, side, hidden=0):
    return vit(width, depth, patch, side, hidden, prefix=0) + map_head(width, hidden)


def dinov3(width, depth, hidden=0, biases=2):
    gated = hidden > 0
    return vit(width, depth, 16, 0, hidden, 5, 2, gated, biases, table=False)


def dinov2(width, depth, registers, hidden=0):
    return vit(width, depth, 14, 37, hidden, 1, 2, hidden > 0) + registers * width


def pe(width, depth, patch, side, projection):
    return clip(width, depth, patch, side, projection) + map_head(width)


DINOV2 = {"small": (384, 12), "base": (768, 12), "large": (1024, 24), "giant": (1536, 40)}
SIGLIP = {
    "base": (768, 12, 16),
    "large": (1024, 24, 16),
    "so400m14": (1152, 27, 14),
    "so400m16": (1152, 27, 16),
    "gopt16": (1536, 40, 16),
}
SIGLIP_SIZES = {
    "siglip": {"base": (224, 256, 384, 512), "large": (256, 384), "so400m14": (224, 384)},
    "siglip2": {
        "base": (224, 256, 384, 512),
        "large": (256, 384, 512),
        "so400m14": (224, 384),
        "so400m16": (256, 384, 512),
        "gopt16": (256, 384),
    },
}
VIT = {
    **{f"dino-vits{p}": (vit(384, 12, p, 224 // p), 384) for p in (8, 16)},
    **{f"dino-vitb{p}": (vit(768, 12, p, 224 // p), 768) for p in (8, 16)},
    "dino-vits16-gldv2": (vit(384, 12, 16, 14), 384),
    **{
        f"dinov2-{size}{end}": (dinov2(*shape, registers, 4096 * (size == "giant")), shape[0])
        for size, shape in DINOV2.items()
        for end, registers in (("", 0), ("-reg", 4))
    },
    "dinov3-small": (dinov3(384, 12), 384),
    "dinov3-smallplus": (dinov3(384, 12, 1536), 384),
    "dinov3-base": (dinov3(768, 12), 768),
    "dinov3-large": (dinov3(1024, 24), 1024),
    "dinov3-hugeplus": (dinov3(1280, 32, 5120), 1280),
    "dinov3-7b": (dinov3(4096, 40, 8192, biases=0), 4096),
    "mocov3-vits": (vit(384, 12, 16, 14), 384),
    "mocov3-vitb": (vit(768, 12, 16, 14), 768),
    "mae-base": (vit(768, 12, 16, 14), 768),
    "mae-large": (vit(1024, 24, 16, 14), 1024),
    "mae-huge": (vit(1280, 32, 14, 16), 1280),
    "clip-b32": (clip(768, 12, 32, 7, 512), 768),
    **{f"clip-b16{end}": (clip(768, 12, 16, 14, 512), 768) for end in ("", "-laion", "-datacomp")},
    **{
        f"clip-l14{end}": (clip(1024, 24, 14, 16, 768), 1024) for end in ("", "-laion", "-datacomp")
    },
    "clip-l14-336": (clip(1024, 24, 14, 24, 768), 1024),
    **{
        f"{version}-{size}-{pixels}": (
            siglip(
                *SIGLIP[size][:2],
                SIGLIP[size][2],
                pixels // SIGLIP[size][2],
                4304 * size.startswith("so400m"),
            ),
            SIGLIP[size][0],
        )
        for version, sizes in SIGLIP_SIZES.items()
        for size, every in sizes.items()
        for pixels in every
    },
    "pe-core-base": (pe(768, 12, 16, 14, 1024), 768),
    "pe-core-large": (pe(1024, 24, 14, 24, 1024), 1024),
    "vit-b16": (vit(768, 12, 16, 14), 768),
    "vit-l16": (vit(1024, 24, 16, 14), 1024),
}
# As published: files of DINOv2 and DINOv3 also hold a mask token.
PUBLISHED = {
    "dino-vits16": 21_665_664,
    "dino-vitb8": 85_807_872,
    "dinov2-small": 22_056_576 - 384,
    "dinov2-giant-reg": 1_136_486_912 - 1536,
    "dinov3-small": 21_596_544 - 384,
    "dinov3-smallplus": 28_692_864 - 384,
    "dinov3-base": 85_660_416 - 768,
    "dinov3-large": 303_129_600 - 1024,
    "dinov3-hugeplus": 840_592_640 - 1280,
    "dinov3-7b": 6_716_035_072 - 4096,
    "mae-huge": 630_764_800,
    "clip-b32": 87_849_216,
    "clip-l14-336": 304_293_888,
    "siglip2-base-512": 93_520_128,
    "siglip2-so400m16-512": 428_772_800,
    "siglip-so400m14-384": 428_225_600,
    "siglip2-gopt16-384": 1_163_659_776,
    "pe-core-large": 317_151_232,
}

GEM_HEAD = 1 + 2048 * 2048 + 2048
RESNET50 = 25_557_032 - 2_049_000  # torchvision's published total less the classifier

# name -> (trained values, channels), counted apart from jaxret.
EXPECTED = {
    "efficientnet-lite0": (4_652_008 - 1_281_000, 1280),
    "resnet18": (11_689_512 - 513_000, 512),
    "resnet34": (21_797_672 - 513_000, 512),
    "resnet101": (44_549_160 - 2_049_000, 2048),
    "simclr2x": (bottleneck_resnet((3, 4, 6, 3), 2), 4096),
    "simclr4x": (bottleneck_resnet((3, 4, 6, 3), 4), 8192),
    "amdim": (amdim(320, 2560), 2560),
    "amdim-medium": (amdim(256, 2048), 2048),
    "gem-ap": (RESNET50 + GEM_HEAD, 2048),
    "gem-ap-101": (44_549_160 - 2_049_000 + GEM_HEAD, 2048),
    **dict.fromkeys(
        ["resnet50", "simclr1x", "mocov1", "mocov2", "swav", "barlowtwins", "vicreg", "dino"],
        (RESNET50, 2048),
    ),
    **dict.fromkeys(["simsiam", "byol"], (RESNET50, 2048)),
    **VIT,
    **{
        f"gem-{data}-{depth}": (bottleneck_resnet(blocks) + GEM_HEAD, 2048)
        for data in ("sfm120k", "gl18")
        for depth, blocks in ((50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3)))
    },
}


def test_the_written_out_counts_are_the_published_ones():
    assert bottleneck_resnet((3, 4, 6, 3)) == RESNET50
    assert round(bottleneck_resnet((3, 4, 6, 3), 2), -5) == 93_900_000
    assert round(bottleneck_resnet((3, 4, 6, 3), 4), -5) == 375_400_000
    assert round(amdim(320, 2560), -5) == 626_400_000
    assert round(amdim(256, 2048), -5) == 400_900_000
    assert {name: VIT[name][0] for name in PUBLISHED} == PUBLISHED


def test_every_row_has_expectations_and_every_expectation_a_row():
    assert sorted(models.names()) == sorted(EXPECTED)


@pytest.mark.parametrize("name", models.names())
def test_parameters_are_exact(name):
    spec = models.get(name)
    parameters, channels = EXPECTED[name]
    assert spec.parameters == parameters
    assert spec.channels == channels


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in VIT else ()) for n in models.names()],
)
def test_networks_have_the_parameters_of_their_rows(name):
    spec = models.get(name)
    assert count_parameters(template(spec)["params"]) == spec.parameters


@pytest.mark.parametrize("name", models.names())
def test_rows_are_whole(name):
    spec = models.get(name)
    assert hash(spec) == hash(models.get(name))
    assert layouts_of(spec.layout)
    assert spec.sources and spec.licence and spec.note
    assert network(spec).__call__  # arguments fit the architecture


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    with pytest.raises(UserError) as error:
        models.get("resnet5")
    sentence = str(error.value)
    assert "'resnet5'" in sentence
    assert sentence.index("resnet50") < sentence.index("efficientnet-lite0")
    assert all(name in sentence for name in models.names())
