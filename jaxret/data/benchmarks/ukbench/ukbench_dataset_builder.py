"""UKBench: 10,200 photographs, four of each of 2550 objects."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """UKBench; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="all_against_all",
            description="ukbench: every photograph asks for its object's four",
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "all_against_all"

    @property
    def homepage(self) -> str:
        return "https://archive.org/details/ukbench"
