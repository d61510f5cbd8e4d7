"""Every flag of the commands: its group, the modes it applies in, its needs.

A new flag is one row here beside its field in the settings (a test asks for it). This module
imports nothing heavy, so that `--help` stays fast.
"""

from absl import flags

from jaxret import checkpoint_flag
from jaxret.cli.applicable import Group, Need, Row, Table, equals, given, other_than
from jaxret.defaults import CONVENTIONS, OTHER_RANKINGS, OTHER_SUITES
from jaxret.ranking_names import step_names
from jaxret.settings import LEARNT, STORED, TRUE_DIM
from jaxret.store_flag import WHOLE

EVALUATION, SUITE, SEARCH, FEATURES, TARS, TRAINING, HEAD, LOOKING = (
    *("evaluation", "suite", "search", "features", "tars", "training", "head", "looking"),
)

_RANKED = (EVALUATION, SUITE, SEARCH, FEATURES)
_ALL = (*_RANKED, TARS)
_PHOTOGRAPHS = (EVALUATION, SUITE, SEARCH, TARS)  # all that begins with photographs, an encoder
_RUNS = (EVALUATION, SUITE)
_COUNTED = (EVALUATION, FEATURES)  # all that is evaluated beyond the paper's tables


def _mode(values: flags.FlagValues) -> str:
    """What the flags of `jaxret.main` ask for."""
    if any(values[name].value for name in ("features", "query_features")):
        return FEATURES
    if values["tars"].value:
        return TARS
    if values["query"].value:
        return SEARCH
    return SUITE if values["suite"].value else EVALUATION


def _rankings(values: flags.FlagValues, mode: str) -> list[str] | None:
    """Those that will run; None where a suite brings its own."""
    if mode == SUITE and not values["ranking"].present:
        return None
    rankings: list[str] | None = values["ranking"].value
    assert rankings is not None  # it has a default
    return rankings[:1] if mode == SEARCH else rankings


def _ranked_with(step: str, *others: str) -> Need:
    def holds(values: flags.FlagValues, mode: str) -> bool:
        rankings = _rankings(values, mode)
        return rankings is None or any(
            one in OTHER_RANKINGS or not {step, *others}.isdisjoint(step_names(one))
            for one in rankings
        )

    return Need(f"a --ranking with {step}", holds)


def _recalibration(*wanted: str) -> Need:
    def holds(values: flags.FlagValues, mode: str) -> bool:
        flag = values["bn_recalibration"]
        # a search leaves batch norm as it is unless it is told otherwise
        return (flag.value if flag.present or mode != SEARCH else "none") in wanted

    return Need(f"--bn_recalibration={'|'.join(wanted)}", holds)


def _pooled_by(part: str, or_unset: bool = False) -> Need:
    """One of the poolings asked for has that part; a row's own is not known here."""

    def holds(values: flags.FlagValues, mode: str) -> bool:
        names: list[str] | None = values["pooling"].value
        if not names:
            return or_unset
        return any(part in name.split("+") for name in names)

    return Need(f"a --pooling with {part}", holds)


_RMAC = _pooled_by("rmac", or_unset=True)
_SEVERAL_SCALES = Need(
    "several --scales", lambda values, mode: len(values["scales"].value or ()) > 1
)


def _file_in_checkpoint(values: flags.FlagValues, mode: str) -> bool:
    text = values["checkpoint"].value
    if not text:
        return False
    places = (checkpoint_flag.named(text) or {"": text}).values()
    return not all(checkpoint_flag.is_folder(place) for place in places)


def _whitened(values: flags.FlagValues, mode: str) -> bool:
    dims = values["pca_dim"].value
    return not dims or any(dim != TRUE_DIM for dim in dims)


def _learnt(values: flags.FlagValues, mode: str) -> bool:
    """Descriptors of one's own are whitened only where a dimension or a file says so."""
    asked = mode != FEATURES or bool(values["pca_dim"].value)
    return asked and values["whitening"].value == LEARNT


def _benchmark_asked(values: flags.FlagValues, mode: str) -> bool:
    from jaxret.data.benchmarks.registry import BENCHMARKS  # late: --help must be fast

    names: list[str | None] = [*(values["dataset"].value or ()), values["whiten_on"].value]
    return mode == SUITE or any(name in BENCHMARKS for name in names)


_AQE, _DBA, _DFS = _ranked_with("AQE"), _ranked_with("DBA"), _ranked_with("DFS")
_AQE_OF_ANY_WEIGHTS = _ranked_with("AQE", "AQEwD")
_CHECKPOINT_FILE = Need("a file in --checkpoint", _file_in_checkpoint)
_WHITENED = Need(f"a --pca_dim other than {TRUE_DIM}", _whitened)
_LEARNT = Need("a whitening that is learnt (with --features: a --pca_dim)", _learnt)
_WITH_WEIGHTS = Need(
    "a model (--whitening=checkpoint), or a FILE",
    lambda values, mode: mode != FEATURES or values["whitening"].value != STORED,
)
_COMPRESSED = Need(
    f"a --store other than {WHOLE}",
    lambda values, mode: not {WHOLE}.issuperset(values["store"].value or ()),
)
_IN_MEMORY = Need(
    "a database in memory (no --distractor_features)",
    lambda values, mode: values["distractor_features"].value is None,
)
_OWN_SETTINGS = Need(
    f"an evaluation or --suite={'|'.join(OTHER_SUITES)} (the paper's suites have the study's)",
    lambda values, mode: mode != SUITE or values["suite"].value in OTHER_SUITES,
)
_BENCHMARK = Need("a benchmark in --dataset", _benchmark_asked)
_NOT_DRY = other_than("dry_run", True, "--nodry_run")
_INDUCTIVE = Need(
    "--dfs=inductive",
    lambda values, mode: mode == SEARCH or values["dfs"].value == "inductive",
)

MAIN = Table(
    {
        EVALUATION: "an evaluation",
        SUITE: "--suite",
        SEARCH: "--query",
        FEATURES: "--features",
        TARS: "--tars",
    },
    _mode,
    (
        Group(
            "What is done",
            (
                Row("suite", (SUITE,)),
                Row("preset", _RUNS, (_OWN_SETTINGS,)),
                Row("dry_run", _RUNS),
                Row("download", _PHOTOGRAPHS, (_NOT_DRY,)),
            ),
        ),
        Group("Tar files", (Row("tars", (TARS,)),)),
        Group("A search", (Row("query", (SEARCH,)), Row("box", (SEARCH,)))),
        Group(
            "Descriptors of your own",
            (
                Row("features", (FEATURES,)),
                Row("query_features", (FEATURES,)),
                Row("distractor_features", (FEATURES,)),
                Row("ground_truth", (FEATURES,)),
            ),
        ),
        Group(
            "Encoder",
            (
                Row("model", _PHOTOGRAPHS),
                Row("weights", _PHOTOGRAPHS),
                Row("seed", _PHOTOGRAPHS, (equals("weights", "random"),)),
                Row("checkpoint", _PHOTOGRAPHS),
                Row("arch", _PHOTOGRAPHS, (_CHECKPOINT_FILE,)),
                Row("width", _PHOTOGRAPHS, (_CHECKPOINT_FILE,)),
                *(
                    Row(name, _PHOTOGRAPHS, (_CHECKPOINT_FILE,))
                    for name in checkpoint_flag.OF_FILES
                ),
                *(Row(name, _PHOTOGRAPHS) for name in CONVENTIONS),
                Row("dtype", _PHOTOGRAPHS),
                Row("batch_size", _PHOTOGRAPHS),
                Row("weights_dir", _PHOTOGRAPHS),
            ),
        ),
        Group(
            "Photographs",
            (
                Row("dataset", _PHOTOGRAPHS),
                Row("allow_missing", _PHOTOGRAPHS, (_BENCHMARK,)),
                Row("distractors", _PHOTOGRAPHS),
                Row("subset", _PHOTOGRAPHS),
                Row("labels", _RUNS),
                Row("data_dir", _PHOTOGRAPHS),
                Row("manual_dir", _PHOTOGRAPHS),
                Row("image_size", _PHOTOGRAPHS),
                Row("query_crop", _RUNS),
                Row("resize", _PHOTOGRAPHS),
                Row("decoder", _PHOTOGRAPHS),
                Row("scales", _PHOTOGRAPHS),
                Row("scales_mean", _PHOTOGRAPHS, (_SEVERAL_SCALES,)),
                Row("on_bad_image", _PHOTOGRAPHS),
                Row("workers", _PHOTOGRAPHS),
            ),
        ),
        Group(
            "Batch norm",
            (
                Row("bn_recalibration", _PHOTOGRAPHS),
                Row("bn_momentum", _PHOTOGRAPHS, (_recalibration("ema"),)),
                Row("bn_batch_size", _PHOTOGRAPHS, (_recalibration("ema", "cumulative"),)),
            ),
        ),
        Group(
            "Descriptors",
            (
                Row("pooling", _PHOTOGRAPHS),
                Row("layers", _PHOTOGRAPHS),
                Row("gem_p", _PHOTOGRAPHS, (_pooled_by("gem"),)),
                Row("gem_negatives", _PHOTOGRAPHS, (_pooled_by("gem"),)),
                Row("rmac_levels", _PHOTOGRAPHS, (_RMAC,)),
                Row("rmac_include_global", _PHOTOGRAPHS, (_RMAC,)),
                Row("rmac_whitening", _PHOTOGRAPHS, (_RMAC, _WHITENED)),
                Row("pca_dim", _ALL),
                Row("whitening", _ALL, (_WHITENED, _WITH_WEIGHTS)),
                Row("whitening_floor", _ALL, (_WHITENED, _LEARNT)),
                Row("whiten_on", _PHOTOGRAPHS, (_WHITENED, equals("whitening", LEARNT))),
                Row("store", _COUNTED, (_IN_MEMORY,)),
                Row("store_rescore", _COUNTED, (_COMPRESSED,)),
            ),
        ),
        Group(
            "Ranking",
            (
                Row("ranking", _RANKED),
                Row("aqe_n", _RANKED, (_AQE_OF_ANY_WEIGHTS,)),
                Row("aqe_weights", _RANKED, (_AQE,)),
                Row("dba_n", _RANKED, (_DBA,)),
                Row("dba_weights", _RANKED, (_DBA,)),
                Row("dba_normalize", _RANKED, (_DBA,)),
                Row("dfs", (EVALUATION, SUITE, FEATURES), (_DFS,)),
                Row("dfs_truncation", _RANKED, (_DFS,)),
                Row("dfs_kd", _RANKED, (_DFS,)),
                Row("dfs_kq", _RANKED, (_DFS, _INDUCTIVE)),
                Row("dfs_gamma", _RANKED, (_DFS,)),
                Row("dfs_alpha", _RANKED, (_DFS,)),
                Row("dfs_rest", _RANKED, (_DFS,)),
                Row("rank_on", _RANKED),
                Row("block_size", _RANKED),
            ),
        ),
        Group(
            "Output",
            (
                Row("workdir", _ALL),
                Row("save_ranks", _RANKED),
                Row("save_ranks_as", (EVALUATION, SUITE, FEATURES), (given("save_ranks"),)),
                Row("save_descriptors", _PHOTOGRAPHS),
                Row("debug", _ALL),
            ),
        ),
        Group(
            "Several hosts",
            (
                Row("multihost", _ALL),
                *(
                    Row(name, _ALL, (given("multihost"),))
                    for name in ("coordinator", "processes", "process")
                ),
            ),
        ),
    ),
)


def _train(name: str, *needs: Need) -> Row:
    return Row(name, (TRAINING,), needs)


def _both(name: str, *needs: Need) -> Row:
    return Row(name, (TRAINING, HEAD), needs)


def _loss(values: flags.FlagValues, mode: str) -> str:
    """Of what is learnt."""
    return str(values["head_loss" if mode == HEAD else "loss"].value)


_CONTRASTIVE = equals("loss", "simclr", "mocov2")
_SOFTMAX = Need(
    "--loss=simclr|mocov2 (--head_loss=classification)",
    lambda values, mode: _loss(values, mode) != "ap",
)
_AP = Need("--loss=ap (--head_loss=ap)", lambda values, mode: _loss(values, mode) == "ap")
_HELD_OUT = other_than("held_out", 0, "--held_out above 0")

TRAIN = Table(
    {TRAINING: "a training of an encoder", HEAD: "--train=head"},
    lambda values: HEAD if values["train"].value == "head" else TRAINING,
    (
        Group(
            "What is learnt",
            (
                *map(_both, ("train", "dataset", "model", "init")),
                *(Row(name, (HEAD,)) for name in ("head_loss", "head_dim", "describe_size")),
                *map(_train, ("loss", "augmentation", "pooling")),
                _both("temperature", _SOFTMAX),
                _train("projection_dim", _CONTRASTIVE),
                _train("projection_hidden", _CONTRASTIVE),
                _train("queue_size", equals("loss", "mocov2")),
                _train("slow_momentum", equals("loss", "mocov2")),
                _both("ap_bins", _AP),
                _both("ap_group", _AP),
                _both("seed"),
            ),
        ),
        Group(
            "Steps",
            (
                *map(_both, ("steps", "batch_size", "optimizer", "learning_rate", "warmup_steps")),
                *map(_train, ("image_size", "stored_size")),
                _both("momentum", equals("optimizer", "sgd", "lars")),
                *map(_both, ("weight_decay", "clip_norm", "accumulate")),
                *map(_train, ("dtype", "remat")),
            ),
        ),
        Group(
            "Held-out part",
            (
                _both("held_out"),
                _both("validate_every", _HELD_OUT),
                _train("validation_size", _HELD_OUT),
            ),
        ),
        Group(
            "Places, output",
            (
                *map(_both, ("workdir", "data_dir", "weights_dir", "workers", "debug")),
                _train("checkpoint_every"),
            ),
        ),
        Group(
            "Several hosts",
            (
                _both("multihost"),
                *(_both(n, given("multihost")) for n in ("coordinator", "processes", "process")),
            ),
        ),
    ),
)


EXPLORE = Table(
    {LOOKING: "looking into a workdir"},
    lambda values: LOOKING,
    (
        Group("What is shown", tuple(Row(n, (LOOKING,)) for n in ("workdir", "dataset", "model"))),
        Group(
            "Places, output",
            tuple(
                Row(name, (LOOKING,))
                for name in ("data_dir", "manual_dir", "weights_dir", "port", "debug")
            ),
        ),
    ),
)
