"""jaxret in the real MTEB: a tiny task made here, offline, held against jaxret's own figures."""

import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs
from tiny import TINY
from twins import torchvision_module

import jaxret
from jaxret.data.ground_truth import files
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.evaluation import protocols
from jaxret.integrations.mteb import MTEBEncoder, MTEBRanking
from jaxret.models import rows
from jaxret.ranking.rankings import RANKINGS, RankingSettings, rank_all

pytestmark = pytest.mark.slow  # importing mteb takes over ten seconds

THINGS = ("astronaut", "chelsea", "coffee", "rocket")
SIDE = 64
SETTINGS = RankingSettings(aqe_n=2, dba_n=2)


def views():
    """Of each thing three photographs searched, of unlike sizes, and one to search with."""
    corpus, queries = [], []
    for name in THINGS:
        whole = Image.fromarray(getattr(photographs, name)())
        for view in range(4):
            box = (9 * view, 7 * view, whole.width - 5 * view, whole.height)
            image = whole.crop(box).resize((80 + view, 60))
            (queries if view == 3 else corpus).append((f"{name}-{view}", image))
    return corpus, queries


@pytest.fixture(scope="module")
def encoder():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ROWS", (*rows.ROWS, TINY))
        yield MTEBEncoder(jaxret.models.random("tiny"), image_size=SIDE, batch_size=4)


@pytest.fixture(scope="module")
def task():
    torchvision_module.load()  # which mteb imports where it is
    mteb = pytest.importorskip("mteb")
    datasets = pytest.importorskip("datasets")
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata

    def table(named):
        content = {"id": [name for name, _ in named], "image": [image for _, image in named]}
        features = datasets.Features({"id": datasets.Value("string"), "image": datasets.Image()})
        return datasets.Dataset.from_dict(content, features=features)

    corpus, queries = views()
    relevant = {
        query: {name: 1 for name, _ in corpus if name.split("-")[0] == query.split("-")[0]}
        for query, _ in queries
    }

    class Tiny(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="TinyI2IRetrieval",
            description="Four things, four photographs each.",
            reference="https://scikit-image.org",
            dataset={"path": "made/here", "revision": "1"},
            type="Any2AnyRetrieval",
            category="i2i",
            modalities=["image"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="map_at_5",
            date=("2020-01-01", "2020-01-02"),
            domains=["Web"],
            task_subtypes=["Object recognition"],
            license="not specified",
            annotations_creators="derived",
            dialect=[],
            sample_creation="created",
            bibtex_citation="",
        )

        def load_data(self, *args, **kwargs):
            split = RetrievalSplitData(
                corpus=table(corpus),
                queries=table(queries),
                relevant_docs={query: dict(found) for query, found in relevant.items()},
                top_ranked=None,
            )
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return mteb, Tiny, relevant


def evaluated(task, model):
    mteb, Tiny, _ = task
    results = mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
    [scores] = results.task_results[0].scores["test"]
    return scores


def own(encoder, ranking, pca_dim=None):
    """Ids and the ground truth, of descriptors that were made photograph by photograph."""
    corpus, queries = views()

    def described(named):
        pixels = [np.asarray(i.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for _, i in named]
        maps = np.concatenate([np.asarray(encoder.encoder(p[None])) for p in pixels])
        return np.asarray(l2_normalize(jaxret.rmac(maps)))

    database, asked = described(corpus), described(queries)
    if pca_dim:
        learnt = PCAWhitening.fit(database, pca_dim)
        database, asked = np.asarray(learnt(database)), np.asarray(learnt(asked))
    ids = rank_all(asked, database, (ranking,), SETTINGS)[ranking].ids
    gnd = [
        {"ok": [i for i, (name, _) in enumerate(corpus) if name[:3] == query[:3]], "junk": []}
        for query, _ in queries
    ]
    return np.asarray(ids), gnd


def test_an_encoder_is_evaluated(encoder, task):
    from mteb.models import EncoderProtocol, SearchProtocol

    assert isinstance(encoder, EncoderProtocol) and not isinstance(encoder, SearchProtocol)
    scores = evaluated(task, encoder)
    ids, gnd = own(encoder, "G")
    expected = jaxret.metrics.evaluate_as_mteb(ids, gnd, "classic")
    assert len(expected) > 10
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=2e-5), key  # MTEB rounds to five digits
    assert scores["main_score"] == scores["map_at_5"]
    assert scores["map_at_5"] > 0.5


@pytest.mark.parametrize("ranking", RANKINGS)
def test_every_ranking_is_evaluated_in_its_own_order(encoder, task, ranking):
    from mteb.models import SearchProtocol

    model = MTEBRanking(encoder, ranking, SETTINGS, pca_dim=6)
    assert isinstance(model, SearchProtocol)
    scores = evaluated(task, model)
    ids, gnd = own(encoder, ranking, pca_dim=6)
    for key, value in jaxret.metrics.evaluate_as_mteb(ids, gnd, "classic").items():
        assert scores[key] == pytest.approx(value, abs=2e-5), key


def test_results_say_which_encoder_and_ranking(encoder, task):
    meta = MTEBRanking(encoder, "G+AQE", pca_dim=6).mteb_model_meta
    assert meta.name == "jaxret/tiny-G+AQE"
    assert meta.revision == encoder.encoder.digest()[:40]
    assert meta.experiment_kwargs == {
        "image_size": SIDE,
        "resize": "square",
        "ranking": "G+AQE",
        "pca_dim": 6,
    }
    assert meta.modalities == ["image"] and meta.framework == ["JAX"]
    mteb, Tiny, _ = task
    kept = mteb.evaluate(encoder, Tiny(), cache=None, show_progress_bar=False)
    assert kept.model_name == "jaxret/tiny"


def test_only_what_a_reranking_task_allows_is_found(encoder, task):
    _, Tiny, relevant = task
    made = Tiny()
    made.load_data()
    split = made.dataset["default"]["test"]
    model = MTEBRanking(encoder)
    model.index(split["corpus"])
    allowed = {query: [*found, "strange"][:2] for query, found in relevant.items()}
    found = model.search(split["queries"], top_k=5, top_ranked=allowed)
    assert {query: set(names) for query, names in found.items()} == {
        query: set(names) for query, names in allowed.items()
    }
    every = model.search(split["queries"], top_k=5)
    for query, names in found.items():
        kept = [name for name in every[query] if name in names]
        assert list(names)[: len(kept)] == kept


def test_what_is_no_photograph_or_ranking_is_refused(encoder):
    with pytest.raises(UserError, match="this task gives id, text: choose one of category i2i"):
        encoder.encode([{"id": ["a"], "text": ["words"]}])
    with pytest.raises(UserError, match="there is no step 'QE'"):
        MTEBRanking(encoder, "G+QE")
    with pytest.raises(UserError, match="nothing is indexed"):
        MTEBRanking(encoder).search([], top_k=3)
    with pytest.raises(UserError, match="resize='crop' is not known; allowed: square, keep"):
        MTEBEncoder(encoder.encoder, resize="crop")


def test_a_pooling_by_its_name(encoder):
    photograph = views()[0][0][1]
    named = MTEBEncoder(encoder.encoder, image_size=SIDE, batch_size=4, pool="gem")
    pixels = np.asarray(photograph.resize((SIDE, SIDE), Image.Resampling.BILINEAR))[None]
    outputs = encoder.encoder.outputs(pixels)
    expected = l2_normalize(jaxret.functional.pool(outputs, "gem"))
    np.testing.assert_allclose(named.describe([photograph]), expected, atol=1e-5)
    for name, words in (("cls", "tiny has no cls"), ("gen", "Nearest: gem")):
        with pytest.raises(UserError, match=words):
            MTEBEncoder(encoder.encoder, pool=name)


def test_similarities_are_inner_products(encoder):
    draw = np.random.default_rng(0)
    one, other = draw.standard_normal((2, 3, 5)).astype(np.float32)
    np.testing.assert_allclose(encoder.similarity(one, other), one @ other.T, rtol=1e-6)
    np.testing.assert_allclose(
        encoder.similarity_pairwise(one, other), np.diag(one @ other.T), rtol=1e-5
    )
    assert encoder.similarity(one[0], other).shape == (1, 3)


@pytest.mark.parametrize(("name", "stem"), [("ROxford", "roxford5k"), ("RParis", "rparis6k")])
def test_its_answers_are_the_official_ones_without_the_junk(shared_data, task, name, stem):
    """By the statistics that come with MTEB: positives, and how many of the database are judged."""
    mteb = task[0]
    truth = files.read(shared_data / "gnd" / f"gnd_{stem}.pkl", stem)
    for level in ("easy", "medium", "hard"):
        lists = [protocols.split(protocols.get(level), entry, 0) for entry in truth.gnd]
        right = [sum(map(len, positives)) for positives, _ in lists]
        judged = [len(truth.imlist) - sum(map(len, junk)) for _, junk in lists]
        whole = mteb.get_task(f"{name}{level.title()}I2IRetrieval").metadata.descriptive_stats
        stated = whole["test"]["relevant_docs_statistics"]
        assert stated["num_relevant_docs"] == sum(right)
        assert stated["min_relevant_docs_per_query"] == min(judged)
        assert stated["max_relevant_docs_per_query"] == max(judged)
        assert whole["test"]["num_queries"] == len(truth.gnd)
        assert whole["test"]["documents_image_statistics"]["max_image_width"] == 256


def test_without_mteb_there_is_a_sentence(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mteb.models", None)
    with pytest.raises(UserError, match=r"MTEB is not installed: pip install 'jaxret\[mteb\]'"):
        MTEBEncoder(encoder.encoder, name="another").mteb_model_meta  # noqa: B018
