"""Which flags belong to what: every flag has its row, one that cannot apply is refused by name."""

import pytest
from absl import flags

from jaxret.cli import flag_tables
from jaxret.cli.flag_tables import EXPLORE, MAIN, TRAIN
from jaxret.errors import UserError
from jaxret.explore.settings import ExploreSettings
from jaxret.main import SWEPT
from jaxret.settings import Settings
from jaxret.training.settings import TrainSettings

SWITCHES = {"dry_run", "download", "debug", "multihost"}
COMMON = {"debug", "multihost", "coordinator", "processes", "process"}
MAIN_ALONE = {
    *("suite", "dry_run", "download", "query", "box"),
    *("features", "query_features", "ground_truth"),
}


def values_of(settings, others, lists=()):
    """The flags of a command, apart from those of this process; see `command.define_flags`."""
    own = flags.FlagValues()
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for option, kind in settings.options():
        name, default, help = option.name, option.default, option.metadata["help"]
        if name in lists or kind not in (bool, int, float, str):
            shown = list(default) if isinstance(default, tuple) else default
            flags.DEFINE_list(name, shown, help, flag_values=own)
        elif option.metadata["choices"]:
            flags.DEFINE_enum(name, default, option.metadata["choices"], help, flag_values=own)
        else:
            define.get(kind, flags.DEFINE_string)(name, default, help, flag_values=own)
    for name in others:
        if name in SWITCHES:
            flags.DEFINE_bool(name, False, "", flag_values=own)
        else:
            flags.DEFINE_string(name, None, "", flag_values=own)
    return own


@pytest.fixture
def main_flags():
    return values_of(Settings, MAIN_ALONE | COMMON, SWEPT)


@pytest.fixture
def train_flags():
    return values_of(TrainSettings, COMMON)


def checked(table, values, arguments):
    values(["command", *arguments.split()])
    table.check(values)


def test_every_flag_has_one_row():
    fields = {option.name for option, _ in Settings.options()}
    rows = [row.name for group in MAIN.groups for row in group.rows]
    assert set(rows) == fields | MAIN_ALONE | COMMON
    assert len(rows) == len(set(rows))
    fields = {option.name for option, _ in TrainSettings.options()}
    rows = [row.name for group in TRAIN.groups for row in group.rows]
    assert set(rows) == fields | COMMON
    assert len(rows) == len(set(rows))
    fields = {option.name for option, _ in ExploreSettings.options()}
    rows = [row.name for group in EXPLORE.groups for row in group.rows]
    assert set(rows) == fields | {"debug"}
    assert len(rows) == len(set(rows))


def test_every_flag_belongs_to_something():
    for table in (MAIN, TRAIN, EXPLORE):
        for row in table.rows().values():
            assert row.modes and set(row.modes) <= set(table.modes)


def test_help_says_what_a_flag_belongs_to(main_flags):
    text = " ".join(MAIN.help(main_flags).split())
    assert "A search (--query): --query:" in text
    assert text.startswith("What is done: --suite:") and "For an evaluation and --suite." in text
    assert "Encoder (an evaluation, --suite and --query): --model:" in text
    assert "--seed: Seed of the random weights. Only with --weights=random. (default: '0')" in text
    assert "--dry_run" not in text.split("--[no]dry_run")[0]


OF_AN_ENCODER = [row.name for row in MAIN.rows().values() if flag_tables.FEATURES not in row.modes]
VALUES = {
    **{name: "demo" for name in ("dataset", "whiten_on")},
    **{name: "3" for name in ("seed", "width", "batch_size", "image_size", "workers")},
    **{name: "3" for name in ("bn_momentum", "bn_batch_size", "rmac_levels", "gem_p")},
    **{"weights": "random", "arch": "resnet18", "dtype": "bfloat16", "distractors": "revisitop1m"},
    **{"query_crop": "none", "resize": "keep", "decoder": "simplejpeg", "on_bad_image": "skip"},
    **{"bn_recalibration": "none", "whitening": "checkpoint"},
}


def written(values, name):
    allowed = getattr(values[name].parser, "enum_values", None) or ["1,2"]
    return f"--{name}" if values[name].boolean else f"--{name}={VALUES.get(name, allowed[-1])}"


@pytest.mark.parametrize("name", OF_AN_ENCODER)
def test_what_needs_an_encoder_is_refused_beside_descriptors(main_flags, name):
    with pytest.raises(UserError, match=f"--{name} (belongs to .*, not to|.* beside) --features"):
        checked(MAIN, main_flags, f"--features=x.npy {written(main_flags, name)}")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--query=x.jpg --suite=table1", "--suite cannot be asked for beside --query"),
        ("--query=x.jpg --dry_run", "--dry_run belongs to an evaluation and --suite, not to --que"),
        ("--query=x.jpg --query_crop=none", "--query_crop belongs to .*, not to --query"),
        ("--query=x.jpg --dfs=joint --ranking=G+DFS", "--dfs belongs to"),
        ("--query=x.jpg --dfs_kd=5", "--dfs_kd has no effect without a --ranking with DFS"),
        ("--query=x.jpg --bn_momentum=0.2", "--bn_momentum .* --bn_recalibration=ema"),
        ("--box=1,2,3,4", "--box belongs to --query, not to an evaluation"),
        ("--box=1,2,3,4 --suite=table1", "--box belongs to --query, not to --suite"),
        ("--ground_truth=x.pkl", "--ground_truth belongs to --features"),
        ("--dry_run --download", "--download has no effect without --nodry_run"),
        *((f"--{name}", f"--{name.split(chr(61))[0]} has no effect without a file in --checkpoint")
          for name in ("mean=0,0,0", "std=1,1,1", "stem_pool=same", "checkpoint_key=ema")),
        ("--features=x.npy --whitening=checkpoint", "--whitening has no effect without a model"),
        ("--features=x.npy --whitening_floor=0.1", "--whitening_floor has no effect without"),
        ("--whitening=x.pkl --whitening_floor=0.1", "--whitening_floor has no effect without"),
        ("--seed=3", "--seed has no effect without --weights=random"),
        ("--arch=resnet18", "--arch has no effect without a file in --checkpoint"),
        ("--arch=resnet18 --width=2 --checkpoint=tests", "--arch .*; --width .* --checkpoint"),
        ("--bn_recalibration=cumulative --bn_momentum=0.2", "--bn_momentum has no effect"),
        ("--bn_recalibration=none --bn_batch_size=2", "--bn_batch_size has no effect"),
        ("--pca_dim=true --whitening=checkpoint", "--whitening has no effect"),
        ("--pca_dim=true,true --whiten_on=demo", "--whiten_on has no effect"),
        ("--whitening=checkpoint --whiten_on=demo", "--whiten_on .* without --whitening=learnt"),
        ("--ranking=G,G+DFS --aqe_n=3", "--aqe_n has no effect without a --ranking with AQE"),
        ("--ranking=G --dba_weights=linear", "--dba_weights has no effect"),
        ("--dfs_kq=3", "--dfs_kq has no effect without --dfs=inductive"),
        ("--suite=table1 --ranking=G --dfs_alpha=0.9", "--dfs_alpha has no effect"),
        ("--allow_missing", "--allow_missing has no effect without a benchmark"),
        ("--process=1", "--process has no effect without --multihost"),
        ("--features=x --model=a --seed=1 --aqe_n=2 --ranking=G", "--model and --seed .*; --aqe_n"),
    ],
)  # fmt: skip
def test_what_cannot_apply_is_refused_by_name(main_flags, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(MAIN, main_flags, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--nodry_run --noallow_missing",
        "--suite=table1 --dfs_kd=5 --aqe_n=3 --dry_run --allow_missing",
        "--query=x.jpg --ranking=G+DFS --dfs_kq=5 --box=1,2,3,4 --download",
        "--query=x.jpg --bn_recalibration=ema --bn_momentum=0.2",
        "--features=x --query_features=y --ground_truth=z --pca_dim=128 --dfs=inductive --dfs_kq=3",
        "--weights=random --seed=3",
        "--checkpoint=mine=absent.pth --arch=resnet18 --width=2",
        "--pca_dim=true,128 --whiten_on=demo",
        "--dataset=roxford5k --allow_missing",
        "--multihost --process=1",
    ],
)
def test_what_applies_passes(main_flags, arguments):
    checked(MAIN, main_flags, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--queue_size=64", "--queue_size has no effect without --loss=mocov2"),
        ("--ap_bins=5 --momentum=0.8", "--ap_bins .*; --momentum .* --optimizer=sgd|lars"),
        ("--loss=ap --temperature=0.1", "--temperature has no effect without --loss=simclr"),
        ("--loss=ap --projection_dim=5", "--projection_dim has no effect"),
        ("--held_out=0 --validate_every=5", "--validate_every .* --held_out above 0"),
    ],
)
def test_what_a_training_cannot_use_is_refused_by_name(train_flags, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(TRAIN, train_flags, arguments)


@pytest.mark.parametrize(
    "arguments",
    ["", "--loss=mocov2 --queue_size=64 --temperature=0.1", "--loss=ap --ap_bins=5"],
)
def test_what_a_training_uses_passes(train_flags, arguments):
    checked(TRAIN, train_flags, arguments)


def test_a_preset_goes_with_settings_of_ones_own(main_flags):
    with pytest.raises(UserError, match="--preset has no effect without an evaluation or --suite="):
        checked(MAIN, main_flags, "--suite=table1 --preset=dino")
    with pytest.raises(UserError, match="--preset belongs to an evaluation and --suite, not"):
        checked(MAIN, main_flags, "--features=x.npy --preset=dino")


@pytest.mark.parametrize("arguments", ["--preset=dino", "--suite=encoders --preset=ilias"])
def test_presets_pass(main_flags, arguments):
    checked(MAIN, main_flags, arguments)


def test_flags_override_a_preset(main_flags):
    from jaxret.main import settings_from_flags

    text = "--preset=dino --model=dino-vits16 --dataset=roxford5k,rparis6k --query_crop=bbox"
    main_flags(["command", *text.split()])
    found = settings_from_flags(main_flags)
    assert [(s.dataset, s.image_size, s.query_crop, s.pooling) for s in found] == [
        ("roxford5k", 224, "bbox", "cls"),
        ("rparis6k", 512, "bbox", "cls"),
    ]
