"""The outcome of a run as plain data: all that a report needs, and nothing that must be recomputed.

Conventions: fractions, not percent; None where a value does not exist (the AP of a query without
positives). A figure is one cell of the results, a dict with the keys

    model, dataset, dim (int or "true"), ranking, protocol,
    map, mp@1, mp@5, mp@10, ap (one per query, None where no positives),
    queries (number of queries in the mean), isolated_queries (DFS only, else None),
    pooling, layer (None: the last), pixels (a side), scales, parameters (of the encoder),
    bytes (of a descriptor as it is ranked), photographs_per_second (decoding, network and pooling;
    None where it was not measured), device (where it was) - not those of descriptors made elsewhere

and the metrics of its dataset's own where it has some (`evaluation.measures`).
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = 1  # of results.json; raised when a reader of the old form would misread the new one
STUDY = "study"  # the preset of the paper's tables
METRICS = ("map", "mp@1", "mp@5", "mp@10")
PROTOCOLS = ("easy", "medium", "hard", "classic")  # in the order of reports

Variant = tuple[str, int | str]  # a model and its dimension


@dataclass
class Results:
    """What one run or one suite of runs found.

    Attributes:
      title: a short name of the run; made from models and datasets where empty.
      suite: "table1", "table2", "table3" or "paper" where the run followed the paper's tables.
      settings: the settings by name.
      preset: of a run under one: name, title, metric, values, deviations (what is not the preset's,
        in words), assumed, not_covered, sources. A figure made without a deviation has its name
        under "preset".
      models: one dict a model: name, parameters, source, sha256, licence, digest; one that is no
        row of the registry has its checkpoint and network besides.
      datasets: one dict a dataset: name, version, database and queries (counts), skipped (names of
        photographs that could not be read), left_out (what lies beside the photographs, and why it
        is none), notes, and optionally query_names and metrics (those it is evaluated by where they
        are not mAP and mP@k, the main one first).
      figures: see the module's text.
      found: of a search, one dict a result, best first: rank (from 1), photograph, similarity.
      gaps: what was not run: any of model, dataset, dim, ranking, protocol, and reason. A gap
        covers every cell that agrees with it; the model of a gap may be one member of an ensemble.
      comparisons: two models on one dataset: model_a, model_b, dataset, dim, ranking, protocol,
        difference (mAP of b less that of a), low, high, confidence, queries.
      timings: seconds a stage; "all" is the whole run where it was measured.
      environment: versions, devices, date.
      notes: sentences that the reader must know.
    """

    title: str = ""
    suite: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    preset: dict[str, Any] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def compares_with_the_study(self) -> bool:
        """Whether nothing says that the figures were made as somebody else's."""
        return self.preset.get("name", STUDY) == STUDY

    def select(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """The figures that agree with every key given, in order."""
        for figure in self.figures:
            if all(figure.get(key) == value for key, value in wanted.items()):
                yield figure

    def values(self, key: str) -> list[Any]:
        """The values that the figures take under a key, each once, in order of appearance."""
        return list(dict.fromkeys(figure[key] for figure in self.figures))

    def variants(self, dataset: str) -> list[Variant]:
        """The models with their dimensions that have figures on a dataset, as they came."""
        figures = self.select(dataset=dataset)
        return list(dict.fromkeys((figure["model"], figure["dim"]) for figure in figures))

    def protocols(self, dataset: str) -> list[str]:
        """The protocols of a dataset in the order of reports, unknown ones last."""
        found = dict.fromkeys(figure["protocol"] for figure in self.select(dataset=dataset))
        known = [protocol for protocol in PROTOCOLS if protocol in found]
        return known + [protocol for protocol in found if protocol not in PROTOCOLS]

    def main_protocol(self, dataset: str) -> str:
        """The one that a single number is quoted for: medium where there is one."""
        found = self.protocols(dataset)
        return "medium" if "medium" in found else found[0]

    def metrics(self, dataset: str) -> tuple[str, ...]:
        """What a dataset is evaluated by beyond mAP and mP@k, the main one first; may be none."""
        for entry in self.datasets:
            if entry.get("name") == dataset:
                return tuple(entry.get("metrics") or ())
        return ()

    def main_metric(self, dataset: str) -> str:
        """The one that a single number is quoted for."""
        return (*self.metrics(dataset), METRICS[0])[0]

    def seconds(self) -> float:
        """The whole run: as measured, else the sum of its stages."""
        return self.timings.get("all", sum(self.timings.values()))

    def gap(self, **cell: Any) -> str:
        """Why a cell was not run; an empty string where nothing is known."""
        for gap in self.gaps:
            keys = set(gap) - {"reason"}
            if keys and all(_covers(key, gap[key], cell.get(key)) for key in keys):
                return str(gap["reason"])
        return ""

    def name(self) -> str:
        """The title, or the models and datasets in words."""
        if self.title:
            return self.title
        models, datasets = self.values("model"), self.values("dataset")
        names = [
            ", ".join(map(str, part)) if len(part) < 4 else f"{len(part)} {word}"
            for part, word in ((models, "models"), (datasets, "datasets"))
        ]
        return f"{names[0]} on {names[1]}" if models else "No figures"

    def to_json(self) -> str:
        """Strict JSON, lists of numbers on one line; NaN becomes null."""
        content = {"format": FORMAT, **_plain(dataclasses.asdict(self))}
        return _indent(content) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """The inverse of `to_json`.

        Raises:
          ValueError: the text is not the results.json of this version of the format.
        """
        content = json.loads(text)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"This is no results.json of format {FORMAT}.")
        return cls(**content)


def number(value: Any) -> float | None:
    """A float, or None for what is None or NaN."""
    return None if value is None or value != value else float(value)


def _same(have: Any, wanted: Any) -> bool:
    return str(have) == str(wanted)


def _covers(key: str, gap: Any, cell: Any) -> bool:
    members = str(cell).split("+") if key == "model" else []
    return _same(gap, cell) or str(gap) in members


def _plain(value: Any) -> Any:
    """Dicts, lists, strings, numbers and None only: NumPy scalars and arrays unpacked."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def _indent(value: Any, depth: int = 0) -> str:
    """JSON with one key a line, and lists of scalars in one line (ap holds one value a query)."""
    pad = " " * (depth + 1)
    if isinstance(value, dict) and value:
        lines = [f"{json.dumps(key)}: {_indent(one, depth + 1)}" for key, one in value.items()]
        return "{\n" + pad + f",\n{pad}".join(lines) + "\n" + " " * depth + "}"
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        lines = [_indent(one, depth + 1) for one in value]
        return "[\n" + pad + f",\n{pad}".join(lines) + "\n" + " " * depth + "]"
    return json.dumps(value, allow_nan=False)
