"""INSTRE: 28,543 photographs of 250 objects."""

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.builder import PHOTOGRAPHS, BenchmarkBuilder


class Builder(BenchmarkBuilder):
    """INSTRE; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=PHOTOGRAPHS, description="the pictures alone"),
        tfds.core.BuilderConfig(
            name="iscen", description="instre: 1250 queries as Iscen et al. split it"
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "iscen"

    @property
    def lists(self) -> tuple[str, ...]:
        return ("ok",)  # INSTRE has no junk

    @property
    def homepage(self) -> str:
        return "http://123.57.42.89/instre/home.html"
