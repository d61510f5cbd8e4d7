"""What is measured, at full size and for a try on a CPU."""

from dataclasses import dataclass

from jaxret import defaults, models


@dataclass(frozen=True)
class Sizes:
    """Everything that decides how long the parts take.

    Attributes:
        first: Models whose maps are held against this machine's processor before all else.
        others: Whether one of every other architecture of the registry follows at the end.
        model, wide, small, vit: Encoders to be timed.
        side: Pixels of their photographs, at most a model's own size.
        equality_side: Of those whose maps are compared; the processor has to see them too.
        batch: Photographs a call.
        rankings: (queries, database rows) to be ranked.
        dim: Of descriptors.
        knn_queries, knn_rows, k: Of the search.
        diffusion_rows: Of the large diffusion; truncation: of all diffusions.
        photographs: To be decoded.
        training_batch, training_side: Of the step of learning.
        product_side: Of the matrices whose product shows what the card can do.
        repeats: Measurements whose median is given.
    """

    first: tuple[str, ...] = ("resnet50", "efficientnet-lite0")
    others: bool = True
    model: str = "resnet50"
    wide: str = "simclr2x"
    small: str = "efficientnet-lite0"
    vit: str = "dinov2-base"
    side: int = defaults.IMAGE_SIZE
    equality_side: int = 224
    batch: int = 64
    rankings: tuple[tuple[int, int], ...] = ((70, 5063), (1250, 27293))
    dim: int = defaults.PCA_DIM
    knn_queries: int = 1000
    knn_rows: int = 1_000_000
    k: int = 1000
    diffusion_rows: int = 100_000
    truncation: int = defaults.DFS_TRUNCATION
    photographs: int = 512
    training_batch: int = 256
    training_side: int = 128
    product_side: int = 8192
    repeats: int = 5

    def side_of(self, model: str) -> int:
        """Pixels of the photographs that a model is timed on."""
        return min(self.side, models.get(model).image_size or self.side)


FULL = Sizes()
SMALL = Sizes(
    first=("resnet18", "efficientnet-lite0"),
    others=False,
    model="resnet18",
    wide="resnet18",
    small="efficientnet-lite0",
    vit="dino-vits16",
    side=64,
    equality_side=64,
    batch=2,
    rankings=((5, 90), (7, 130)),
    dim=16,
    knn_queries=9,
    knn_rows=400,
    k=20,
    diffusion_rows=150,
    truncation=30,
    photographs=4,
    training_batch=4,
    training_side=64,
    product_side=128,
    repeats=1,
)
