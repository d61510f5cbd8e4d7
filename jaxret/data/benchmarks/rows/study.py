"""The five benchmarks of the study."""

from jaxret.data.benchmarks.row import Benchmark, Source

FLICKR = (
    "Photographs from Flickr, for research; each remains its photographer's. See the terms of"
    " access on the publishers' page."
)
_VGG = "https://www.robots.ox.ac.uk/~vgg/data"
_CLASSIC = "http://cmp.felk.cvut.cz/cnnimageretrieval/data/test"
_REVISITED = "http://cmp.felk.cvut.cz/revisitop/data/datasets"
_INSTRE = "ftp://ftp.irisa.fr/local/texmex/corpus/instre"
_BLURRED = "the re-release of 2022 with blurred faces"

_OXFORD_ARCHIVES = (
    Source("oxbuild_images-v1.tgz", f"{_VGG}/oxbuildings/oxbuild_images-v1.tgz", release=_BLURRED),
)
_PARIS_ARCHIVES = (
    Source("paris_1-v1.tgz", f"{_VGG}/parisbuildings/paris_1-v1.tgz", release=_BLURRED),
    Source("paris_2-v1.tgz", f"{_VGG}/parisbuildings/paris_2-v1.tgz", release=_BLURRED),
)
_PARIS_NOTES = (
    "The archives of Paris hold 20 further photographs that have never been readable; they are no "
    "part of the benchmark.",
)


def _pickle(name: str, folder: str, sha256: str) -> Source:
    """The ground truth of Oxford or Paris, as its makers name the file."""
    file = f"gnd_{name}.pkl"
    return Source(file, f"{folder}/{name}/{file}", sha256)


ROWS = (
    Benchmark(
        name="oxford5k",
        builder="oxford5k",
        config="classic",
        database=5063,
        queries=55,
        photographs=5063,
        kind="classic",
        query_in_database=True,
        ground_truth=_pickle(
            "oxford5k",
            _CLASSIC,
            "c84e5eb68524fd46aab5c0e80b90f970d7bf677507aeb8cddd6b12990d4bc19e",
        ),
        archives=_OXFORD_ARCHIVES,
        licence=FLICKR,
    ),
    Benchmark(
        name="paris6k",
        builder="paris6k",
        config="classic",
        database=6392,
        queries=55,
        photographs=6392,
        kind="classic",
        query_in_database=True,
        ground_truth=_pickle(
            "paris6k",
            _CLASSIC,
            "def916cf4f197a182d9a7840cdb6294489fa57c2121f9742a1bcc6f2209bb345",
        ),
        archives=_PARIS_ARCHIVES,
        notes=_PARIS_NOTES,
        licence=FLICKR,
    ),
    Benchmark(
        name="instre",
        builder="instre",
        config="iscen",
        database=27293,
        queries=1250,
        photographs=28543,
        kind="classic",
        query_in_database=False,
        ground_truth=Source(
            "gnd_instre.mat",
            f"{_INSTRE}/gnd_instre.mat",
            "d21fcd0254bf4bb3863a646dccffae5e48a849991537b9a64ef07e74627d4b5f",
        ),
        archives=(Source("instre.tar.gz", f"{_INSTRE}/instre.tar.gz"),),
        licence="for research; see the publishers' page",
    ),
    Benchmark(
        name="roxford5k",
        builder="oxford5k",
        config="revisited",
        database=4993,
        queries=70,
        photographs=5063,
        kind="revisited",
        query_in_database=False,
        ground_truth=_pickle(
            "roxford5k",
            _REVISITED,
            "ba7967754bd2d7d2210a5799f9c45ad5835e269a80ef9d3eba44caa35816c471",
        ),
        archives=_OXFORD_ARCHIVES,
        licence=FLICKR,
    ),
    Benchmark(
        name="rparis6k",
        builder="paris6k",
        config="revisited",
        database=6322,
        queries=70,
        photographs=6392,
        kind="revisited",
        query_in_database=False,
        ground_truth=_pickle(
            "rparis6k",
            _REVISITED,
            "d2e729a5293dda7dda8a15c8383424a42e4964a2c4cfea2f32fa85d11d2df499",
        ),
        archives=_PARIS_ARCHIVES,
        notes=_PARIS_NOTES,
        licence=FLICKR,
    ),
)
