"""The imports of the package: no circle, none upwards, each framework only in its rooms."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import jaxret

PACKAGE = Path(jaxret.__file__).parent

# From the ground up: a room may import those of the lines before it and itself, none of its own
# line and none after. "jaxret" is the package's own file, which names the version.
ROOMS = (
    ("jaxret", "errors", "defaults"),
    ("options", "runtime", "fetch"),
    ("checkpoint_flag", "ranking_names", "store_flag", "evaluation", "presets"),
    ("settings", "data", "models", "metrics"),
    ("convert", "descriptors"),
    ("functional",),
    ("ranking",),
    ("report",),
    ("stages",),
    ("pipeline",),
    ("runs", "training", "integrations"),
    ("cli",),
    ("main", "train", "explore"),
)
# Who may import what of others' frameworks.
FRAMEWORKS = {
    "torch": {"convert"},
    "safetensors": {"convert"},
    "tensorflow": {"convert"},
    "tensorflow_datasets": {"data"},
    "array_record": {"data"},
    "flax": {"models", "convert"},
    "optax": {"training"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "mteb": {"integrations"},
    "starlette": {"explore"},
    "uvicorn": {"explore"},
}


def modules_of(folder: Path) -> dict[str, Path]:
    """Every module by its name, packages under the name of their folder."""
    files = {
        ".".join((folder.name, *file.relative_to(folder).with_suffix("").parts)): file
        for file in folder.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): file for name, file in files.items()}


@cache
def import_statements(file: Path) -> list[ast.Import | ast.ImportFrom]:
    parsed = ast.walk(ast.parse(file.read_text()))
    return [node for node in parsed if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(file: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """What a file imports anywhere in it, late imports too; a name or the module that holds it."""
    for node in import_statements(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0 and node.module, f"{file}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules else node.module


def graph_of(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    return {name: set(imported(file, modules)) - {name} for name, file in modules.items()}


def room(module: str) -> str:
    return [*module.split("."), "jaxret"][1]


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules left when all that import nothing of the rest are taken away, again and again."""
    left = {name: {other for other in others if other in graph} for name, others in graph.items()}
    while done := {name for name, others in left.items() if not others}:
        left = {name: others - done for name, others in left.items() if name not in done}
    return sorted(left)


def upwards(graph: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Imports of a room that does not lie below."""
    floor = {name: number for number, names in enumerate(ROOMS) for name in names}
    return sorted(
        (name, other)
        for name, others in graph.items()
        for other in others
        if other in graph and room(name) != room(other)
        # the package's own file loads everything late, and only names the version itself
        if name != "jaxret" and floor[room(other)] >= floor[room(name)]
    )


def strangers(graph: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Imports of a framework in a room that is not to know it."""
    return sorted(
        (name, other)
        for name, others in graph.items()
        for other in others
        if room(name) not in FRAMEWORKS.get(other.split(".")[0], {room(name)})
    )


def test_every_room_has_its_place():
    named = [name for line in ROOMS for name in line]
    assert len(named) == len(set(named))
    assert {room(module) for module in modules_of(PACKAGE)} <= set(named)


def test_no_circle_no_import_upwards_no_framework_out_of_its_rooms():
    graph = graph_of(modules_of(PACKAGE))
    assert len(graph) > 100
    assert circle(graph) == []
    assert upwards(graph) == []
    assert strangers(graph) == []


def test_rooms_stay_small():
    files = [file.parent for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    crowded = {folder.name: files.count(folder) for folder in files if files.count(folder) > 14}
    assert crowded == {}


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("errors.py", "from jaxret.models import spec", "upwards"),
        ("data/dataset.py", "def f():\n    import jaxret.pipeline", "upwards"),
        ("evaluation/metrics.py", "from jaxret.data import dataset", "upwards"),
        ("models/spec.py", "from jaxret.models.registry import get", "circle"),
        ("report/results.py", "def f():\n    from jaxret.report.page.html import page", "circle"),
        ("ranking/expansion.py", "import torch.nn", "strangers"),
        ("descriptors/rmac.py", "def f():\n    from flax import linen", "strangers"),
        ("runtime/artifacts.py", "import tensorflow_datasets as tfds", "strangers"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, line, found):
    modules = modules_of(PACKAGE)
    spoilt = tmp_path / "spoilt.py"
    spoilt.write_text((PACKAGE / file).read_text() + "\n\n" + line + "\n")
    name = "jaxret." + file.removesuffix(".py").replace("/", ".")
    graph = graph_of({**modules, name: spoilt})
    assert {"upwards": upwards, "circle": circle, "strangers": strangers}[found](graph)
