"""Tables of names, read both ways: what a family calls a module, and what we call it.

Our paths follow the names of DINO and timm (`blocks.3.attn.proj.weight`), with query, key and value
apart. A number stands as # in a table, so that one line serves all blocks. A line that leads to
several of our modules is one array of theirs that holds ours one after the other (its first axis);
its parts are called "NAME[0]", "NAME[1]" and so on. A part that is None is not used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxret.models.spec import ModelSpec

Ours = str | tuple[str | None, ...]
Modules = Mapping[str, Ours]

_PART = re.compile(r"^(.*)\[(\d)\]$")


@dataclass(frozen=True)
class NameTable:
    """Their module or array -> ours.

    Attributes:
        modules: Of modules (without the last word, weight or bias) and of single arrays.
        roles: Their last word -> ours, beside weight and bias.
    """

    modules: Modules
    roles: Mapping[str, str]

    def path(self, name: str, axes: int) -> str | None:
        """From "blocks.3.attn.qkv.weight[1]" to "params/blocks_3/attn/key/kernel"."""
        part = _PART.match(name)
        ours = self._ours(part[1] if part else name)
        if isinstance(ours, tuple):
            return ours[int(part[2])] if part else None
        return None if part else ours

    def _ours(self, name: str) -> str | tuple[str | None, ...] | None:
        numbers = re.findall(r"\.(\d+)\.", name)
        generic = re.sub(r"\.\d+\.", ".#.", name)
        module, _, role = generic.rpartition(".")
        if generic in self.modules:
            found, role = self.modules[generic], ""
        elif module in self.modules and role in self.roles:
            found, role = self.modules[module], self.roles[role]
        else:
            return None
        number = numbers[0] if numbers else ""
        if isinstance(found, tuple):
            return tuple(one and _our_path(one, number, role) for one in found)
        return _our_path(found, number, role)

    def name_of(self, path: str) -> str:
        """The inverse of `path`."""
        _, *modules, leaf = path.split("/")
        number = next((m.rpartition("_")[2] for m in modules if re.search(r"_\d+$", m)), "")
        module = re.sub(r"_\d+(?=\.|$)", ".#", ".".join(modules))
        role = {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)
        array = f"{module}.{role}" if module else role
        theirs = self._inverse.get(array) or self._inverse[module]
        theirs, bracket, part = theirs.partition("[")
        if array not in self._inverse:
            theirs += "." + next(their for their, our in self.roles.items() if our == role)
        return theirs.replace("#", number) + bracket + part

    @cached_property
    def _inverse(self) -> dict[str, str]:
        """Our module or array -> theirs, the first that leads there."""
        inverse: dict[str, str] = {}
        for theirs, ours in self.modules.items():
            if isinstance(ours, str):
                inverse.setdefault(ours, theirs)
                continue
            for i, one in enumerate(ours):
                if one is not None:
                    inverse.setdefault(one, f"{theirs}[{i}]")
        return inverse

    def split(self, arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
        """Packed arrays as views of their parts; the others as they are."""
        parts: dict[str, Any] = {}
        for name, array in arrays.items():
            inner = name.removeprefix(prefix) if name.startswith(prefix) else ""
            ours = self._ours(inner)
            if not isinstance(ours, tuple) or not np.ndim(array):
                parts[name] = array
                continue
            size = np.shape(array)[0] // len(ours)
            for i in range(len(ours)):
                end = (i + 1) * size if i + 1 < len(ours) else None  # nothing is left out
                parts[f"{name}[{i}]"] = array[i * size : end]
        return parts


def _our_path(module: str, number: str, role: str) -> str:
    *modules, last = module.replace(".#", f"_{number}").split(".")
    if role == "weight":
        norm = last.startswith("norm")
        role = "scale" if norm else "kernel"
    if not role:  # a single array
        role = {"weight": "kernel"}.get(last, last)
        return "/".join(["params", *modules, role])
    return "/".join(["params", *modules, last, role])


def join(parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `split`: "NAME[0]", "NAME[1]" ... one after the other as NAME."""
    groups: dict[str, list[tuple[int, np.ndarray]]] = {}
    for name, array in parts.items():
        part = _PART.match(name)
        groups.setdefault(part[1] if part else name, []).append(
            (int(part[2]) if part else 0, array)
        )
    return {
        name: group[0][1]
        if len(group) == 1
        else np.concatenate([array for _, array in sorted(group, key=lambda pair: pair[0])])
        for name, group in groups.items()
    }
