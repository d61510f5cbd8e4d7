import csv
import io

import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.evaluation.metrics import evaluate
from jaxret.ranking.compression import CompressedIndex
from jaxret.ranking.diffusion.inductive import DiffusionSettings
from jaxret.ranking.rankings import RankingSettings, Stored, rank_all
from jaxret.ranking_names import parse
from jaxret.runs import ablation

SMALL = RankingSettings(diffusion=DiffusionSettings(truncation=30, kd=8))


def instances():
    """(queries, database, ground truth): 8 instances of 10 rows."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(8, 16))
    database = np.repeat(centres, 10, axis=0) + 1.5 * random.normal(size=(80, 16))
    queries = centres + 1.5 * random.normal(size=(8, 16))
    truth = [{"ok": list(range(10 * i, 10 * i + 10)), "junk": []} for i in range(8)]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, database)]
    return *unit, truth


def test_each_row_is_the_evaluation_of_one_changed_setting():
    queries, database, truth = instances()
    sweep = {"aqe_n": [1, 3], "kq": [2], "kd": [4, 8], "gamma": [1.5], "aqe_alpha": [0.5]}
    rows = ablation.ablate(queries, database, truth, ["classic"], sweep, SMALL)
    assert [(row.parameter, row.value) for row in rows] == [
        (name, value) for name, values in sweep.items() for value in values
    ]
    expected = [
        RankingSettings(aqe_n=1),
        RankingSettings(aqe_n=3),
        RankingSettings(diffusion=SMALL.diffusion, dfs="inductive", kq=2),
        RankingSettings(diffusion=DiffusionSettings(30, 4)),
        RankingSettings(diffusion=DiffusionSettings(30, 8)),
        RankingSettings(diffusion=DiffusionSettings(30, 8, gamma=1.5)),
        RankingSettings(aqe_n=50, aqe_weights="alpha", aqe_alpha=0.5),
    ]
    for row, settings in zip(rows, expected, strict=True):
        name = row.ranking.partition("(")[0]
        ids = rank_all(queries, database, [name], settings)[name].ids
        assert row.map == evaluate(ids, truth, "classic")["map"]


def test_ways_to_store_are_words():
    queries, database, truth = instances()
    sweep = {"store": ["float32", "int8"]}
    rows = ablation.ablate(queries, database, truth, ["classic"], sweep, SMALL)
    assert [(row.value, row.ranking) for row in rows] == [("float32", "G"), ("int8", "G")]
    kept = Stored(CompressedIndex.fit(database, "int8"))
    ids = rank_all(queries, database, ["G"], stored=kept)["G"].ids
    assert rows[1].map == evaluate(ids, truth, "classic")["map"]
    assert "| store | int8 | G |" in ablation.as_markdown(rows)


def test_writes_a_table_and_a_plot_a_parameter(tmp_path):
    rows = [
        ablation.Row("kd", value, "G+DFS", protocol, figure, 3, 1.25)
        for value, figure in ((10, 0.5), (20, 0.625))
        for protocol in ("easy", "hard")
    ]
    paths = ablation.write(rows, tmp_path / "out")
    assert [path.name for path in paths] == ["ablation.csv", "ablation.md", "ablation-kd.svg"]
    read = list(csv.DictReader(io.StringIO(paths[0].read_text())))
    assert [(line["value"], line["protocol"], line["map"]) for line in read] == [
        ("10", "easy", "0.5"),
        ("10", "hard", "0.5"),
        ("20", "easy", "0.625"),
        ("20", "hard", "0.625"),
    ]
    assert "| kd | 20 | G+DFS | 62.50 | 62.50 | 3 | 1.2 |" in paths[1].read_text()
    assert paths[2].read_text().startswith("<svg")


def test_every_parameter_has_values_within_its_range():
    for parameter in ablation.PARAMETERS.values():
        for value in parameter.values:
            parameter.change(RankingSettings(), value)
            parse(parameter.ranking.format(value))


def test_refuses_with_a_sentence():
    queries, database, truth = instances()
    with pytest.raises(UserError, match=r"'beta'. Known: aqe_n, dba_n"):
        ablation.ablate(queries, database, truth, ["classic"], {"beta": [1]})
    with pytest.raises(UserError, match="kd is 1"):
        ablation.ablate(queries, database, truth, ["classic"], {"kd": [1]}, SMALL)
