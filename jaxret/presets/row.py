"""What a preset is: one frozen row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Values = Mapping[str, Any]  # by name of the setting


@dataclass(frozen=True)
class Preset:
    """The settings under which somebody's figures were made.

    Attributes:
      name: as written on the command line.
      title: whose figures, in words.
      metric: what is quoted.
      values: settings that are not the defaults, or that are stated though they are.
      of_dataset: what differs on some datasets.
      of_model: (pattern of names, what differs); the first pattern that fits counts.
      assumed: settings of `values` that no source states.
      sources: where the settings are stated, code with its commit.
      not_covered: sentences on what the source does and jaxret does not.
    """

    name: str
    title: str
    metric: str
    values: Values
    of_dataset: Mapping[str, Values] = field(default_factory=dict)
    of_model: tuple[tuple[str, Values], ...] = ()
    assumed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()

    def mentioned(self) -> set[str]:
        """Every setting that the preset states, of whatever model or dataset."""
        some = (self.values, *self.of_dataset.values(), *(values for _, values in self.of_model))
        return {name for values in some for name in values}

    def values_for(self, model: str, dataset: str) -> dict[str, Any]:
        """All settings that the preset states for a model on a dataset."""
        own = next((v for pattern, v in self.of_model if fnmatchcase(model, pattern)), {})
        return {**self.values, **self.of_dataset.get(dataset, {}), **own}
