"""INRIA Holidays: 1491 photographs of 500 scenes."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Holidays; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="photographs", description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="first_of_group",
            description="holidays: the first photograph of a group asks for the others",
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "first_of_group"

    @property
    def homepage(self) -> str:
        return "https://lear.inrialpes.fr/people/jegou/data.php"
