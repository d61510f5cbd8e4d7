"""One dataclass, one digest; values that cannot be are refused in a sentence."""

import dataclasses

import pytest

from jaxret.errors import UserError
from jaxret.settings import Settings

MACHINE = {
    "preset",  # its values are what counts
    "data_dir",
    "manual_dir",
    "weights_dir",
    "workdir",
    "save_ranks",
    "save_ranks_as",
    "save_descriptors",
    "batch_size",
    "workers",
    "block_size",
}


def other_value(option, kind):
    """A valid value that is not the default."""
    if option.name in ("pca_dim", "image_size"):
        return 64
    if option.name == "save_ranks":
        return "all"
    if option.name == "scales":
        return (1.0, 0.5)
    if option.name == "ranking":
        return ("G",)
    if option.name == "store":
        return "pq64"
    if option.metadata["choices"]:
        others = [c for c in option.metadata["choices"] if c != option.default]
        return (others[0],) if isinstance(option.default, tuple) else others[0]
    if kind is bool:
        return not option.default
    return {int: 7, float: 0.25}.get(kind, "elsewhere")


@pytest.mark.parametrize("option", list(Settings.options()), ids=lambda pair: pair[0].name)
def test_digest_covers_whatever_can_change_a_figure(option):
    field, kind = option
    changed = dataclasses.replace(Settings(), **{field.name: other_value(field, kind)})
    assert (changed.digest() == Settings().digest()) == (field.name in MACHINE)


def test_every_option_explains_itself():
    assert all(len(option.metadata["help"]) > 15 for option, _ in Settings.options())


def test_members_of_an_ensemble():
    assert Settings(model="simclr2x+simclr4x").members == ("simclr2x", "simclr4x")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ranking": ("G", "G+QE")}, r"'G\+QE': there is no step 'QE' \(nearest: AQE\)"),
        ({"dba_weights": "gordon"}, "--dba_weights=gordon is not known; allowed: gordo"),
        ({"image_size": 1}, "--image_size=1 is too small"),
        ({"scales": (1.0, 0.0)}, r"--scales=\(1\.0, 0\.0\) must be numbers above 0"),
        ({"batch_size": -4}, "--batch_size=-4 must be 1 or more"),
        ({"save_ranks": "0"}, "--save_ranks=0 must be a number above 0 or 'all'"),
        ({"save_ranks": "ten"}, "--save_ranks=ten must be"),
        ({"pca_dim": "all"}, "--pca_dim=all must be a whole number or 'true'"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        Settings(**wrong)
