"""Stanford Online Products: the 60,502 test photographs of 11,316 products."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Stanford Online Products; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="test", description="sop: every test photograph asks for its product's others"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "test"

    @property
    def homepage(self) -> str:
        return "https://cvgl.stanford.edu/projects/lifted_struct/"
