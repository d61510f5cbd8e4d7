"""INRIA Copydays: 157 photographs and copies of them."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """Copydays; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name="photographs_strong", description="the originals and their strong copies"
        ),
        tfds.core.BuilderConfig(
            name="photographs_crops", description="the originals and what was cut out of them"
        ),
        tfds.core.BuilderConfig(
            name="photographs_jpeg", description="the originals and their JPEG copies"
        ),
        tfds.core.BuilderConfig(
            name="strong", description="copydays: strong copies ask for their originals"
        ),
        tfds.core.BuilderConfig(
            name="crops", description="copydays-crops: cut copies ask for their originals"
        ),
        tfds.core.BuilderConfig(
            name="jpeg", description="copydays-jpeg: compressed copies ask for their originals"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "strong"

    @property
    def homepage(self) -> str:
        return "https://lear.inrialpes.fr/people/jegou/data.php"
