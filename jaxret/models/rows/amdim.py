"""AMDIM (Bachman, Hjelm and Buchwalter, NeurIPS 2019)."""

from jaxret.models.spec import ModelSpec, Source

_AZURE = "https://amdimmodels.blob.core.windows.net/amdim/"


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


ROWS = (
    _amdim("amdim", 320, 2560, 626_410_560),
    _amdim("amdim-medium", 256, 2048, 400_907_520),
)
