"""Oxford5k: 5063 photographs of buildings in Oxford."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import PHOTOGRAPHS, BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Oxford5k; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=PHOTOGRAPHS, description="the pictures alone"),
        tfds.core.BuilderConfig(name="classic", description="oxford5k: 55 queries, ok and junk"),
        tfds.core.BuilderConfig(
            name="revisited", description="roxford5k: 70 queries, easy, hard and junk"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "classic"

    @property
    def homepage(self) -> str:
        return "https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/"
