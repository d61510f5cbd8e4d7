"""Settings as frozen dataclasses whose fields are the flags of a command line.

A field states its default, what it means and, where there are few, its allowed values; the command
lines make their flags and `--help` from them.
"""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jaxret.errors import UserError


def option(default: Any, help: str, choices: tuple[str, ...] = (), machine: bool = False) -> Any:
    """A field with its help; `machine` marks what cannot change a figure."""
    return field(default=default, metadata={"help": help, "choices": choices, "machine": machine})


@dataclass(frozen=True)
class Options:
    """What all settings can do."""

    @classmethod
    def options(cls) -> Iterator[tuple["dataclasses.Field[Any]", type]]:
        """Every field with the plain type of its value (int for `int | None`)."""
        hints = typing.get_type_hints(cls)
        for one in dataclasses.fields(cls):
            hint = hints[one.name]
            if isinstance(hint, types.UnionType):
                kinds = typing.get_args(hint)
                hint = next(kind for kind in reversed(kinds) if kind is not type(None))
            yield one, hint

    def check_choices(self) -> None:
        """Raises UserError for a value outside the choices of its field."""
        for one in dataclasses.fields(self):
            choices, given = one.metadata["choices"], getattr(self, one.name)
            for value in given if isinstance(given, tuple) else (given,):
                if choices and value is not None and value not in choices:
                    raise UserError(
                        f"--{one.name}={value} is not known; allowed: {', '.join(choices)}."
                    )

    def key(self) -> dict[str, Any]:
        """What can change a figure, as plain data."""
        return {
            one.name: getattr(self, one.name)
            for one in dataclasses.fields(self)
            if not one.metadata["machine"]
        }

    def digest(self) -> str:
        """sha256 of `key()`: equal for two runs that must give the same figures."""
        return hashlib.sha256(json.dumps(self.key(), sort_keys=True).encode()).hexdigest()
