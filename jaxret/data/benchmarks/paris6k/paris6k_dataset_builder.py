"""Paris6k: 6392 photographs of buildings in Paris."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import PHOTOGRAPHS, BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Paris6k; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=PHOTOGRAPHS, description="the pictures alone"),
        tfds.core.BuilderConfig(name="classic", description="paris6k: 55 queries, ok and junk"),
        tfds.core.BuilderConfig(
            name="revisited", description="rparis6k: 70 queries, easy, hard and junk"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "classic"

    @property
    def homepage(self) -> str:
        return "https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/"
