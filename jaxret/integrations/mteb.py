"""jaxret in MTEB: an encoder, or a whole ranking, on its tasks from photograph to photograph.

    import jaxret, mteb
    from jaxret.integrations.mteb import MTEBEncoder, MTEBRanking

    encoder = MTEBEncoder(jaxret.models.load("simclr2x"), image_size=256)
    tasks = mteb.get_tasks(["ROxfordMediumI2IRetrieval"])
    mteb.evaluate(encoder, tasks)
    mteb.evaluate(MTEBRanking(encoder, "G+AQE+DFS", pca_dim=512), tasks)

An encoder satisfies MTEB's `EncoderProtocol` (MTEB searches), a ranking its `SearchProtocol`
(jaxret searches, and MTEB counts). MTEB's rOxford and rParis are not the field's: docs/mteb.md.
`pip install 'jaxret[mteb]'`; nothing of mteb is imported before it asks for something.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from jaxret import defaults, ranking_names
from jaxret.data.images.decode import rgb_pixels
from jaxret.data.images.resize import RESIZES
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.pooling_rows import Pooling, check_name, check_outputs, pool
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, check_images, output_channels
from jaxret.models.folding import fold
from jaxret.models.spec import ModelSpec
from jaxret.ranking.ordering import scores_in_order
from jaxret.ranking.rankings import Ranked, RankingSettings, rank_all
from jaxret.runtime import parallel
from jaxret.settings import Settings
from jaxret.stages.features import side_multiple
from jaxret.stages.poolings import name_of

Pool = Callable[[Mapping[str, jax.Array]], jax.Array]
"""`Encoder.outputs` of a batch -> one vector a photograph, [B, D]."""

Results = dict[str, dict[str, float]]
"""Query -> photograph -> score, the form in which MTEB takes rankings."""

_PLAIN = {"G", "DBA", "AQE", "AQEwD"}
IMAGE = "image"  # the column of MTEB's tables that holds photographs


class MTEBEncoder:
    """An encoder of jaxret as MTEB's `EncoderProtocol`: photographs in, unit vectors out.

    Args:
      encoder: of `jaxret.models.load`, recalibrated or not.
      image_size: side in pixels; None for the encoder's own, else the study's.
      resize: as in evaluations.
      pool: what makes one vector of the encoder's outputs: the name of a pooling, None for the one
        that evaluations take, or a function.
      whitening: applied to the L2-normalised vectors, where one is given.
      batch_size: photographs a forward pass.
      name: what MTEB's results call it; None for jaxret/NAME.

    Raises:
      UserError: an unknown way to resize, or a pooling that the network does not have.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        image_size: int | None = None,
        resize: str = "square",
        pool: str | Pool | None = None,
        whitening: PCAWhitening | None = None,
        batch_size: int = 8,
        name: str | None = None,
    ) -> None:
        if resize not in RESIZES:
            raise UserError(f"resize={resize!r} is not known; allowed: {', '.join(RESIZES)}.")
        self.encoder = encoder
        self.image_size = image_size or encoder.spec.image_size or defaults.IMAGE_SIZE
        self.resize = resize
        self.whitening = whitening
        self.name = name or f"jaxret/{encoder.spec.name}"
        self._pool = pool if callable(pool) else _named(pool, encoder.spec)
        self._mesh = parallel.local_mesh()
        self._batch_size = parallel.round_up(batch_size, self._mesh.size)

    def encode(self, inputs: Iterable[Mapping[str, Any]], **_: Any) -> NDArray[np.float32]:
        """Descriptors [N, D], rows L2-normalised, of the photographs in a DataLoader of MTEB.

        Args:
          inputs: mappings of which "image" is a list of PIL photographs.

        Raises:
          UserError: there are no photographs in it: the task is about something else.
        """
        return self.describe(itertools.chain.from_iterable(map(_photographs, inputs)))

    def describe(self, photographs: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Descriptors [N, D], rows L2-normalised, of upright PIL photographs."""
        multiple = side_multiple(self.encoder.spec, self.resize)
        pixels = (rgb_pixels(one, self.image_size, self.resize, multiple) for one in photographs)
        made = [self._forward(batch) for batch in _batches(pixels, self._batch_size)]
        if not made:
            return np.zeros((0, 0), np.float32)
        rows = l2_normalize(np.concatenate(made))
        return np.asarray(rows if self.whitening is None else self.whitening(rows), np.float32)

    def similarity(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> NDArray[np.float32]:
        """Inner products [N, M] of unit vectors: their cosines."""
        return _rows(embeddings1) @ _rows(embeddings2).T

    def similarity_pairwise(
        self, embeddings1: ArrayLike, embeddings2: ArrayLike
    ) -> NDArray[np.float32]:
        """Inner products [N] of the vectors of the same place."""
        return np.einsum("nd,nd->n", _rows(embeddings1), _rows(embeddings2))

    @functools.cached_property
    def mteb_model_meta(self) -> Any:
        """What MTEB's results say of the encoder."""
        return _meta(self.name, self.encoder, self._how())

    def _how(self) -> dict[str, Any]:
        """What tells two results of one encoder apart."""
        how: dict[str, Any] = {"image_size": self.image_size, "resize": self.resize}
        if self.whitening is not None:
            how["whitening"] = self.whitening.dim
        return how

    @functools.cached_property
    def _replicated(self) -> Encoder:
        """With batch norm folded, its weights on every device."""
        folded = fold(self.encoder)
        variables = parallel.replicated(folded.variables, self._mesh)
        return dataclasses.replace(folded, variables=variables)

    def _forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One batch; padded where it is the last, so that nothing is compiled anew for it."""
        count = len(images)
        padding = [(0, self._batch_size - count), (0, 0), (0, 0), (0, 0)]
        padded = np.pad(images, padding)
        check_images(padded)
        put = jax.device_put(padded, parallel.over_devices(self._mesh))
        vectors = self._pool(self._replicated.outputs(put))
        return np.asarray(vectors, np.float32)[:count]


def _named(name: str | None, spec: ModelSpec) -> Pool:
    """The pooling of that name, or the one that evaluations take."""
    name = name or name_of(spec, Settings())
    check_name(name)
    check_outputs(Pooling(name), output_channels(spec), spec.name)
    return functools.partial(pool, name=name)


class MTEBRanking:
    """A ranking of jaxret as MTEB's `SearchProtocol`: AQE, DBA, diffusion, re-ranking.

    Args:
      encoder: makes the descriptors.
      ranking: as `jaxret.ranking_names` reads it, such as "G+DBA+AQE+DFS" or "G+AQE(n=5)+SG", or
        of `defaults.OTHER_RANKINGS`.
      settings: its numbers; None for the paper's.
      pca_dim: dimensions of a PCA-whitening that is learnt on the photographs searched; None for
        none.
      name: what MTEB's results call it; None for the encoder's name and the ranking.

    Raises:
      UserError: an unknown ranking.
    """

    def __init__(
        self,
        encoder: MTEBEncoder,
        ranking: str = "G",
        settings: RankingSettings | None = None,
        pca_dim: int | None = None,
        name: str | None = None,
    ) -> None:
        if ranking not in defaults.OTHER_RANKINGS:
            ranking_names.parse(ranking)
        self.encoder = encoder
        self.ranking = ranking
        self.settings = settings or RankingSettings()
        self.pca_dim = pca_dim
        self.name = name or f"{encoder.name}-{ranking}"
        self._ids: list[str] = []
        self._database = np.zeros((0, 0), np.float32)
        self._learnt: PCAWhitening | None = None

    def index(self, corpus: Any, **_: Any) -> None:
        """Describes the photographs of a table of MTEB with the columns "id" and "image"."""
        self._ids = [str(one) for one in corpus["id"]]
        rows = self.encoder.describe(_column(corpus))
        self._learnt = None if self.pca_dim is None else PCAWhitening.fit(rows, self.pca_dim)
        self._database = self._whitened(rows)

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> Results:
        """The `top_k` best photographs of every query, their scores strictly descending.

        MTEB orders equal scores by the photographs' names, so that those which the ranking put in
        an order of its own (what diffusion leaves at 0) are set apart by the least step.

        Args:
          queries: a table with the columns "id" and "image".
          top_k: photographs a query.
          top_ranked: query -> the only photographs that may be found, of tasks that re-rank.
        """
        if not self._ids:
            raise UserError("MTEBRanking.search needs MTEBRanking.index first: nothing is indexed.")
        ranked = self._ranked(
            self._whitened(self.encoder.describe(_column(queries))), top_k, top_ranked
        )
        names = np.asarray(self._ids, dtype=object)
        scores = scores_in_order(np.asarray(ranked.ids), ranked.scores)
        found: Results = {}
        for query, ids, values in zip(queries["id"], np.asarray(ranked.ids), scores, strict=True):
            pairs = zip(names[ids].tolist(), values.tolist(), strict=True)
            if top_ranked is not None:
                allowed = set(top_ranked.get(query, ()))
                pairs = ((name, value) for name, value in pairs if name in allowed)  # type: ignore[assignment]
            found[str(query)] = dict(itertools.islice(pairs, top_k))
        return found

    @functools.cached_property
    def mteb_model_meta(self) -> Any:
        """What MTEB's results say of encoder and ranking."""
        how = {**self.encoder._how(), "ranking": self.ranking}
        if self.pca_dim is not None:
            how["pca_dim"] = self.pca_dim
        return _meta(self.name, self.encoder.encoder, how)

    def _whitened(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows if self._learnt is None else np.asarray(self._learnt(rows), np.float32)

    def _ranked(self, queries: NDArray[np.float32], top_k: int, among: Any) -> Ranked:
        settings, count = self.settings, len(self._ids)
        # Diffusion and re-ranking see more than what is kept.
        plain = _PLAIN.issuperset(ranking_names.step_names(self.ranking))
        if plain and among is None:
            settings = dataclasses.replace(settings, depth=min(top_k, count))
        kept = count if among is not None else min(top_k, count)
        ranked = rank_all(queries, self._database, (self.ranking,), settings, scored=kept)
        one = ranked[self.ranking]
        return dataclasses.replace(one, ids=np.asarray(one.ids)[:, :kept])


def _photographs(batch: Mapping[str, Any]) -> Sequence[Image.Image]:
    if IMAGE not in batch:
        raise UserError(
            f"jaxret describes photographs, and this task gives {', '.join(batch)}: choose one of "
            "category i2i."
        )
    images: Sequence[Image.Image] = batch[IMAGE]
    return images


def _column(table: Any) -> Iterable[Image.Image]:
    _photographs(dict.fromkeys(table.column_names))
    return (row[IMAGE] for row in table)


def _batches(pixels: Iterable[NDArray[np.uint8]], size: int) -> Iterable[NDArray[np.uint8]]:
    """Stacks of at most `size`, each of photographs of one shape, in order."""
    for _, same in itertools.groupby(pixels, key=np.shape):
        while batch := list(itertools.islice(same, size)):
            yield np.stack(batch)


def _rows(embeddings: ArrayLike) -> NDArray[np.float32]:
    return np.atleast_2d(np.asarray(embeddings, np.float32))


def _meta(name: str, encoder: Encoder, how: Mapping[str, Any]) -> Any:
    try:
        from mteb.models import ModelMeta
        from mteb.models.model_meta import ScoringFunction
    except ImportError as error:
        raise UserError("MTEB is not installed: pip install 'jaxret[mteb]'.") from error
    return ModelMeta.create_empty(
        {
            "name": name,
            "revision": encoder.digest()[:40],
            "n_parameters": encoder.spec.parameters or None,
            "embed_dim": encoder.spec.channels,
            "framework": ["JAX"],
            "modalities": [IMAGE],
            "similarity_fn_name": ScoringFunction.COSINE,
            "use_instructions": False,
            "experiment_kwargs": dict(how),
        }
    )
