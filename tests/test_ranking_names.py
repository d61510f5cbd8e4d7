"""The grammar of rankings: what a name says, and one sentence for what it cannot say."""

import pytest
from absl import flags

from jaxret import defaults, ranking_names
from jaxret.cli import command
from jaxret.errors import UserError
from jaxret.functional.settings import DiffusionSettings, RankingSettings, names_of, settings_of
from jaxret.ranking_names import STEPS, parse, split, step_names
from jaxret.settings import Settings


def test_commas_in_parentheses_separate_no_rankings():
    text = "G, G+AQE(alpha=3, n=50)+SG(m=100),,G+KR(k1=5,k2=3)"
    assert split(text) == ["G", "G+AQE(alpha=3,n=50)+SG(m=100)", "G+KR(k1=5,k2=3)"]
    assert split(",".join(defaults.RANKINGS)) == list(defaults.RANKINGS)
    assert step_names("G+AQE(alpha=1e+2)+SG") == ["G", "AQE", "SG"]


def test_the_flag_takes_them():
    own = flags.FlagValues()
    parser = command._List(ranking_names.split)
    serializer = flags.ListSerializer(",")
    flags.DEFINE(parser, "ranking", ["G"], "", flag_values=own, serializer=serializer)
    own(["command", "--ranking=G,G+AQE(alpha=3,n=50)"])
    assert own["ranking"].value == ["G", "G+AQE(alpha=3,n=50)"]
    assert Settings(ranking=tuple(own["ranking"].value)).ranking[1] == "G+AQE(alpha=3,n=50)"


@pytest.mark.parametrize("name", defaults.RANKINGS)
def test_the_studys_names_change_no_setting(name):
    settings = RankingSettings(aqe_n=7, dba_n=4, dfs="inductive", kq=3)
    assert settings_of(parse(name), settings) == settings
    assert names_of(parse(name)) == set(name.split("+"))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("G+AQE(n=50)", {"aqe_n": 50, "aqe_n_with_dba": 50}),
        ("G+AQE(alpha=2)", {"aqe_weights": "alpha", "aqe_alpha": 2.0}),
        ("G+AQE(weights=linear)", {"aqe_weights": "linear"}),
        ("G+AQEwD", {"aqe_weights": "linear"}),
        ("G+DBA(n=3,normalize=no)", {"dba_n": 3, "dba_normalize": False}),
        ("G+DBA(alpha=1.5)", {"dba_weights": "alpha", "dba_alpha": 1.5}),
        ("G+DFS(kq=4,rest=none)", {"dfs": "inductive", "kq": 4, "dfs_rest": "none"}),
        ("G+DFS(kd=9,gamma=2)", {"diffusion": DiffusionSettings(kd=9, gamma=2.0)}),
        ("G+SG(m=9,pool=mean)+KR(k1=3)", {}),
    ],
)
def test_numbers_take_the_place_of_the_settings(name, changed):
    assert settings_of(parse(name), RankingSettings()) == RankingSettings(**changed)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "there is no step ''"),
        ("G+AEQ", r"no step 'AEQ' \(nearest: AQE\); there are G, DBA, AQE or AQEwD, DFS, then SG"),
        ("AQE", "a ranking begins with G; the order is G, DBA"),
        ("G+AQE+AQE", "AQE stands twice"),
        ("G+AQE+AQEwD", "AQEwD cannot follow AQE"),
        ("G+SG+AQE", "AQE cannot follow SG"),
        ("G(n=2)", "G takes no parameters"),
        ("G+AQE(m=3)", "AQE has no 'm': it takes n, weights, alpha"),
        ("G+SG(wight=3)", "SG has no 'wight': it takes m, k, beta, pool"),
        ("G+AQE(n)", "AQE has no value for 'n'"),
        ("G+AQE(n=1,n=2)", "AQE says n twice"),
        ("G+AQE(n=1", "do not close"),
        ("G+AQE(n=-1)", "n=-1 of AQE must be a whole number, 0 or more"),
        ("G+AQE(n=1.5)", "n=1.5 of AQE must be a whole number"),
        ("G+AQE(alpha=3,weights=linear)", "alpha of AQE goes with weights=alpha, not linear"),
        ("G+DFS(kd=1)", "kd=1 of DFS must be a whole number, 2 or more"),
        ("G+DFS(alpha=1)", "alpha=1 of DFS must be a number from 0 to below 1"),
        ("G+DFS(gamma=0)", "gamma=0 of DFS must be a number above 0"),
        ("G+DFS(kq=3,form=joint)", "kq of DFS goes with form=inductive, not joint"),
        ("G+SG(beta=nan)", "beta=nan of SG must be a number, 0 or more"),
        ("G+SG(pool=median)", "pool=median of SG must be max or mean"),
        ("G+KR(weight=1.1)", "weight=1.1 of KR must be a number from 0 to 1"),
    ],
)
def test_a_name_that_says_nothing_known(name, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        parse(name)
    assert "\n" not in str(raised.value)


def test_rankings_of_ones_own_are_named_beside(monkeypatch):
    monkeypatch.setattr(defaults, "OTHER_RANKINGS", {"G+twice": "twice:rank"})
    with pytest.raises(UserError, match=r"rankings of your own: G\+twice\.$"):
        parse("G+AEQ")


def test_what_is_named_exists():
    """No range of the grammar is wider than that of the settings."""
    assert set(STEPS) == {"G", "DBA", "AQE", "AQEwD", "DFS", "SG", "KR"}
    for weights in STEPS["AQE"]["weights"].words:
        settings_of(parse(f"G+AQE(weights={weights})"), RankingSettings())
    for weights in STEPS["DBA"]["weights"].words:
        settings_of(parse(f"G+DBA(weights={weights})"), RankingSettings())
