"""What each decision that the paper leaves open is worth: one changed at a time, as a table.

    python tools/decisions.py --dataset=demo,FOLDER --output=docs/decisions_measured.md

Every row is one evaluation (mAP in percent, medium, of G, G+AQE, G+DBA and G+DFS); the first is the
study's defaults. Features that do not depend on the decision are reused between rows.
"""

from jaxret.runtime import preemption

if __name__ == "__main__":
    preemption.end_when_told()  # first: what is imported below takes a while

import sys
from pathlib import Path
from typing import Any

from absl import flags

import jaxret
from jaxret.cli import command
from jaxret.errors import UserError

DECISIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the defaults", {}),
    ("no recalibration", {"bn_recalibration": "none"}),
    ("recalibration, momentum 0.01", {"bn_momentum": 0.01}),
    ("recalibration, momentum 0.5", {"bn_momentum": 0.5}),
    ("recalibration, cumulative", {"bn_recalibration": "cumulative"}),
    ("R-MAC with the global vector", {"rmac_include_global": True}),
    ("R-MAC of one level (MAC)", {"rmac_levels": 1}),
    ("no PCA-whitening", {"pca_dim": "true"}),
    ("whitening, 16 dimensions", {"pca_dim": 16}),
    ("whitening, 64 dimensions", {"pca_dim": 64}),
    ("query not cropped", {"query_crop": "none"}),
    ("aspect ratio kept", {"resize": "keep"}),
    ("three scales", {"scales": (1.0, 2**-0.5, 0.5)}),
    ("bfloat16", {"dtype": "bfloat16"}),
    ("AQE weighted (linear)", {"aqe_weights": "linear"}),
    ("AQE of 5", {"aqe_n": 5}),
    ("DBA weights: linear", {"dba_weights": "linear"}),
    ("DBA weights: uniform", {"dba_weights": "uniform"}),
    ("DBA not normalised", {"dba_normalize": False}),
    ("DBA of 5", {"dba_n": 5}),
    ("DFS inductive", {"dfs": "inductive"}),
    ("DFS, the rest by id", {"dfs_rest": "none"}),
)
RANKINGS = ("G", "G+AQE", "G+DBA", "G+DFS")
PROTOCOL = "medium"


def define_flags() -> None:
    flags.DEFINE_list("dataset", ["demo"], "Datasets or folders, one table each.")
    flags.DEFINE_string("model", jaxret.Settings.model, "Encoder.")
    flags.DEFINE_integer("image_size", None, "Pixels a side; unset: the dataset's own.")
    flags.DEFINE_string("workdir", None, "Where features are kept.")
    flags.DEFINE_string("output", None, "Markdown file; unset: the terminal.")


def table(dataset: str, common: dict[str, Any]) -> list[str]:
    """The lines of one Markdown table."""
    lines = ["| changed | " + " | ".join(RANKINGS) + " |", "|---|" + "---:|" * len(RANKINGS)]
    for label, changes in DECISIONS:
        settings = jaxret.Settings(dataset=dataset, ranking=RANKINGS, **{**common, **changes})
        results = jaxret.run(settings, report=False)
        by_ranking = {f["ranking"]: f["map"] for f in results.select(protocol=PROTOCOL)}
        cells = " | ".join(f"{100 * by_ranking[ranking]:.1f}" for ranking in RANKINGS)
        lines.append(f"| {label} | {cells} |")
        print(lines[-1], file=sys.stderr)
    return lines


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    common = {name: values[name].value for name in ("model", "image_size", "workdir")}
    try:
        parts = [
            "\n".join([f"### {Path(name).name}", "", *table(name, common)])
            for name in values.dataset
        ]
    except UserError as error:
        sys.exit(f"decisions: {error}")
    text = "\n\n".join(parts) + "\n"
    if values.output:
        Path(values.output).write_text(text, "utf-8")
    else:
        print(text)


if __name__ == "__main__":
    command.launch(main, define_flags)
