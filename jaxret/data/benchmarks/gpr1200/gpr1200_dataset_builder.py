"""GPR1200: 12,000 photographs of 1200 categories."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """GPR1200; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="all_against_all", description="gpr1200: every photograph asks for its category"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "all_against_all"

    @property
    def homepage(self) -> str:
        return "https://visual-computing.com/project/GPR1200/"
