"""AmsterTime: 1231 places in Amsterdam, then and now."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """AmsterTime; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="new", description="amstertime: street views ask for old photographs"
        ),
        tfds.core.BuilderConfig(
            name="old", description="amstertime-old: old photographs ask for street views"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "new"

    @property
    def homepage(self) -> str:
        return "https://doi.org/10.4121/19580806"
