"""ILIAS: 1000 objects, 1232 queries, 4715 positives."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """ILIAS core; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="core", description="ilias-core: image queries against the positives"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "core"

    @property
    def homepage(self) -> str:
        return "https://vrg.fel.cvut.cz/ilias/"
