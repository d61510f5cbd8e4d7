"""Met: 397,121 photographs of exhibits, and visitors' queries."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Met; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="photographs_mini",
            description="the pictures of the small database and the queries",
        ),
        tfds.core.BuilderConfig(
            name="full", description="met: test queries against the whole database"
        ),
        tfds.core.BuilderConfig(
            name="mini", description="met-mini: test queries against the small database"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "full"

    @property
    def homepage(self) -> str:
        return "http://cmp.felk.cvut.cz/met/"
