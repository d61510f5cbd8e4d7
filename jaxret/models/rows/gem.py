"""AP-GeM (Revaud et al., ICCV 2019): learnt for retrieval, with a head of its own."""

from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec, Source


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


ROWS = (
    _gem("gem-ap", 50, 27_704_385, "1oPtE_go9tnsiDLkWjN4NMpKjh-_md1G5", "Resnet50-AP-GeM.pt"),
    _gem(
        "gem-ap-101",
        101,
        46_696_513,
        "1UWJGDuHtzaQdFhSMojoYVQjmCXhIwVvy",
        "Resnet-101-AP-GeM.pt",
    ),
)
