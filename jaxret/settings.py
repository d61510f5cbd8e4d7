"""One frozen dataclass = one evaluation. Every flag of the command line is a field of it.

The digest covers what can change a figure and leaves out where things lie and how fast they run.
"""

from dataclasses import dataclass
from typing import Any

from jaxret import checkpoint_flag, defaults, presets, ranking_names, store_flag
from jaxret.defaults import CONVENTIONS, RANKINGS
from jaxret.errors import UserError
from jaxret.options import Options, option

LEAST_IMAGE_SIZE = 32
RANDOM = " (random)"  # what tables add to the name of a model with random weights
ALL = "all"  # of --save_ranks: whole rankings
LEARNT, STORED = "learnt", "checkpoint"  # of --whitening; anything else is a file
TRUE_DIM = "true"  # Table 3's "True dim": L2-normalised R-MAC, no PCA


def _is_count(text: str | None) -> bool:
    return str(text).isdecimal() and int(str(text)) > 0


@dataclass(frozen=True)
class Settings(Options):
    """What is evaluated and how; paper section or source of a default: see `defaults`."""

    model: str = option(
        "efficientnet-lite0",
        "Encoder; members of an ensemble are joined by plus signs (simclr2x+simclr4x).",
    )
    dataset: str = option(
        "demo", "Dataset by name, or a folder of photographs, with a gnd.json or without."
    )
    ranking: tuple[str, ...] = option(
        RANKINGS,
        f"Rankings to run, comma-separated: steps joined by plus signs, {ranking_names.ORDER}; "
        "numbers of a step in parentheses take the place of its flags: "
        "G+AQE(alpha=3,n=50)+SG(m=100).",
    )
    preset: str | None = option(
        None,
        "Settings under which somebody's figures were made (docs/presets.md). What is said beside "
        "it counts, and the report names every such deviation.",
        presets.names(),
        True,
    )
    allow_missing: bool = option(
        False, "Evaluate a benchmark on those of its photographs that are there."
    )
    distractors: str | None = option(
        None, "Add a million distractors to roxford5k or rparis6k.", ("revisitop1m",)
    )
    subset: str | None = option(
        None,
        "Part of a database in many archives (gldv2): the photographs of some, 0-9,12, or all "
        "that answer a query and N others, positives+N.",
    )
    labels: str | None = option(
        None,
        "A folder of photographs without gnd.json: one folder an instance, each photograph asks "
        "for the others of its folder.",
        ("folders",),
    )

    weights: str = option(
        "converted",
        "Converted weights, or random ones as the lower end of the scale.",
        ("converted", "random"),
    )
    checkpoint: str | None = option(
        None,
        "An encoder of your own: a PyTorch file (read as --arch), a folder of converted weights, "
        "a snapshot of a model of the hub, or the workdir of a training; --model then only names "
        "it. With names, mine=WORKDIR,other=FILE, it may be several, and --model uses the names "
        "like any other: mine,resnet50+mine.",
    )
    arch: str = option(
        "resnet50",
        "Architecture of the files in --checkpoint.",
        ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    )
    checkpoint_key: str | None = option(
        None,
        "Which network of a file in --checkpoint that holds several: the wrapper or prefix that "
        "the summary names, such as state_dict_ema or teacher; NAME=KEY,... where there are "
        "several files.",
    )
    mean: tuple[float, ...] | None = option(
        None,
        "Of the pixels in [0, 1], subtracted before --checkpoint. Unset: as the file or a "
        "config.json beside it states, else ImageNet's.",
    )
    std: tuple[float, ...] | None = option(None, "Divides what is left; likewise.")
    stem_pool: str | None = option(
        None,
        "Padding of the max-pool in --checkpoint: PyTorch's, or TensorFlow's SAME. Unset: as the "
        "form of the file was made with.",
        ("torch", "same"),
    )
    width: int | None = option(None, "Width multiplier of --arch (unset: as its first layer says).")
    dtype: str = option(
        "float32",
        "Arithmetic of the encoder; R-MAC is float32 in any case.",
        ("float32", "bfloat16"),
    )
    position_resize: str | None = option(
        None,
        "Vision Transformers: whose way to bring the table of positions to another size. "
        "Unset: original, as the authors' code does.",
        CONVENTIONS["position_resize"],
    )
    patch_fit: str | None = option(
        None,
        "Vision Transformers: sides that are no multiple of the patch are cut, padded with zeros "
        "on all sides, or resized. Unset: crop.",
        CONVENTIONS["patch_fit"],
    )
    rope_periods: str | None = option(
        None,
        "DINOv3: periods of the rotary positions as in the authors' files, or in float32. "
        "Unset: file, and float32 for models of the hub, whose files hold none.",
        CONVENTIONS["rope_periods"],
    )
    seed: int = option(0, "Seed of the random weights.")

    image_size: int | None = option(
        None,
        "Pixels a side, aspect ratio not kept. Unset: the dataset's own, else "
        f"{defaults.IMAGE_SIZE}.",
    )
    query_crop: str | None = option(
        None,
        "Cut a query to its box before the resize, or take it whole. Unset: bbox, and none on "
        "benchmarks whose makers search with whole photographs (ILIAS).",
        ("bbox", "none"),
    )
    resize: str = option(
        "square",
        "Resize to a square; keep the aspect ratio with the longer side near --image_size; or as "
        "the public code under published figures: the longer side at most (thumbnail) or exactly "
        "(longer) --image_size, or the middle of the photograph (center). Recalibration sees "
        "squares in any case.",
        ("square", "keep", "thumbnail", "longer", "center"),
    )
    decoder: str = option(
        "pil", "What decodes JPEGs; simplejpeg is faster and an extra.", ("pil", "simplejpeg")
    )
    scales: tuple[float, ...] = option(
        (1.0,), "Multi-scale: factors of --image_size whose descriptors are pooled."
    )
    scales_mean: str = option(
        "normalized",
        "Multi-scale: the mean of the L2-normalised descriptors, or of them as they are (DINO).",
        ("normalized", "raw"),
    )
    on_bad_image: str | None = option(
        None,
        "An unreadable photograph ends the run, or is skipped and reported. "
        "Unset: fail on benchmarks, skip on folders.",
        ("fail", "skip"),
    )

    bn_recalibration: str = option(
        "ema",
        "A pass over the database in training mode first: running statistics moved by "
        "--bn_momentum, averaged over all batches, or left as they are.",
        ("ema", "cumulative", "none"),
    )
    bn_momentum: float = option(defaults.BN_MOMENTUM, "new = (1 - m) old + m batch.")
    bn_batch_size: int = option(defaults.BN_BATCH_SIZE, "Photographs a recalibration batch.")

    pooling: str | None = option(
        None,
        "What makes one vector of the encoder's outputs. Unset: what its authors use for "
        "retrieval, rmac for the study's.",
        defaults.POOLINGS,
    )
    layers: str | None = option(
        None,
        "Pool the map of an earlier stage, such as layer3 or block_9, not of the last. With "
        "commas: of each alone.",
    )
    gem_p: float = option(defaults.GEM_P, "Exponent of GeM.")
    gem_negatives: str = option(
        "clamp",
        "Values below 0 under GeM (Vision Transformers have them): taken as 0, or as ILIAS does.",
        defaults.GEM_NEGATIVES,
    )
    rmac_levels: int = option(defaults.RMAC_LEVELS, "Scales L of the R-MAC grid.")
    rmac_include_global: bool = option(
        False, "Add the whole map's maximum once more, as cirtorch's code does."
    )
    rmac_whitening: str = option(
        "sum",
        "Whiten the sum over the regions of R-MAC, or each region's vector before it, as Tolias "
        "et al. and VISSL do.",
        ("sum", "regions"),
    )
    pca_dim: int | str | None = option(
        None,
        f"Dimension after PCA-whitening, or '{TRUE_DIM}' for none. Unset: {defaults.PCA_DIM}, less "
        "where the database holds fewer than four photographs a dimension.",
    )
    whitening: str = option(
        LEARNT,
        "'learnt' on database descriptors, 'checkpoint' for the PCA stored with the weights "
        "(GeM(AP)), or a FILE: cirtorch's {m, P} (.pkl, .mat), VISSL's PCA, or our own .npz.",
    )
    whitening_floor: float = option(
        0.0,
        "Learnt variances below this part of the largest are raised to it; VISSL's is 1e-5.",
    )
    whiten_on: str | None = option(
        None, "Learn the PCA on this dataset's database instead of the evaluated one's."
    )

    store: str = option(
        store_flag.WHOLE,
        "How the database's descriptors are kept and searched; queries stay whole: "
        f"{', '.join(store_flag.STORES)}, where M is bytes a photograph (pq64).",
    )
    store_rescore: int = option(
        0, "Put this many first results of a search in codes in the order of whole descriptors."
    )

    aqe_n: int | None = option(
        None,
        f"Neighbours averaged into a query. Unset: {defaults.AQE_N}, and "
        f"{defaults.AQE_N_WITH_DBA} after DBA.",
    )
    aqe_weights: str = option("none", "Weights of those neighbours.", ("none", "linear", "alpha"))
    dba_n: int = option(defaults.DBA_N, "Neighbours averaged into a database descriptor.")
    dba_weights: str = option(
        "gordo", "Weights of those neighbours.", ("gordo", "linear", "uniform", "alpha")
    )
    dba_normalize: bool = option(True, "L2-normalise augmented descriptors.")
    dfs: str = option(
        "joint",
        "Diffuse over queries and database in one graph, or over the database alone.",
        ("joint", "inductive"),
    )
    dfs_truncation: int = option(defaults.DFS_TRUNCATION, "Nodes a diffusion may reach.")
    dfs_kd: int = option(defaults.DFS_KD, "Neighbours of a node in the graph, itself counted.")
    dfs_kq: int = option(defaults.DFS_KQ, "Database neighbours of a query (inductive form).")
    dfs_gamma: float = option(defaults.DFS_GAMMA, "Exponent of the affinity.")
    dfs_alpha: float = option(defaults.DFS_ALPHA, "Weight of the graph against the start.")
    dfs_rest: str | None = option(
        None,
        "What diffusion leaves at score 0: ranked by global search, or left in the order of ids. "
        "Unset: global, and none in the paper's suites, as published.",
        ("global", "none"),
    )

    rank_on: str = option(
        "auto",
        "Rank on the devices of JAX or on the cores of the host; auto: devices where they are "
        "accelerators.",
        ("auto", "host", "device"),
    )

    data_dir: str | None = option(
        None, "Where benchmarks lie (default: the user's cache).", (), True
    )
    manual_dir: str | None = option(
        None, "Where the official files of a benchmark lie, packed or unpacked.", (), True
    )
    weights_dir: str | None = option(
        None, "Where converted weights lie (default: ./weights, the user's cache).", (), True
    )
    workdir: str | None = option(
        None, "Descriptors, reusable by the next run, and the report.", (), True
    )
    save_ranks: str | None = option(
        None,
        "Ranked lists as data: the first results of every query, this many, as "
        "rankings/MODEL-DATASET-RANKING.csv in --workdir, or 'all': whole rankings as .npy of ids. "
        "Unset: 10 in a search, none elsewhere.",
        (),
        True,
    )
    save_ranks_as: str = option(
        "table",
        "Form of --save_ranks: table (.csv, or .npy of all), or json or pickle with similarities "
        "by name, as ILIAS's evaluation takes them.",
        ("table", "json", "pickle"),
        True,
    )
    save_descriptors: str | None = option(
        None,
        "A folder for the descriptors as they are ranked: queries.npy, database.npy and names.txt, "
        "which --features reads back.",
        (),
        True,
    )
    batch_size: int = option(8, "Photographs a forward pass.", (), True)
    workers: int | None = option(
        None, "Threads that decode photographs (default: all cores).", (), True
    )
    block_size: int | None = option(
        None, "Rows a block of the ranking (default: by free memory).", (), True
    )

    @classmethod
    def of_preset(cls, preset: str, **said: Any) -> "Settings":
        """The settings of a preset for a model and a dataset, but for what is said."""
        return presets.applied(cls(preset=preset, **said), said)

    def __post_init__(self) -> None:
        self.check_choices()
        for one in self.ranking:
            if one not in defaults.OTHER_RANKINGS:
                ranking_names.parse(one)
        store_flag.check(self.store)
        if self.store_rescore < 0:
            raise UserError(f"--store_rescore={self.store_rescore} must be 0 or more.")
        for name in ("batch_size", "bn_batch_size", "rmac_levels", "dba_n", "width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name}={value} must be 1 or more.")
        if self.image_size is not None and self.image_size < LEAST_IMAGE_SIZE:
            raise UserError(
                f"--image_size={self.image_size} is too small: encoders see one cell of their map "
                f"in {LEAST_IMAGE_SIZE} pixels; {defaults.IMAGE_SIZE} is the study's."
            )
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise UserError(f"--scales={self.scales} must be numbers above 0, such as 1,0.71,0.5.")
        if not self.gem_p > 0:
            raise UserError(f"--gem_p={self.gem_p} must be above 0 (inf is the maximum).")
        self._check_regions()
        if not 0 <= self.whitening_floor < 1:
            raise UserError(f"--whitening_floor={self.whitening_floor} must be from 0 to below 1.")
        self._check_checkpoint()
        if self.save_ranks not in (None, ALL) and not _is_count(self.save_ranks):
            raise UserError(f"--save_ranks={self.save_ranks} must be a number above 0 or '{ALL}'.")
        if isinstance(self.pca_dim, str) and self.pca_dim != TRUE_DIM:
            raise UserError(f"--pca_dim={self.pca_dim} must be a whole number or '{TRUE_DIM}'.")

        if self.whitening_file and self.pca_dim == TRUE_DIM:
            raise UserError(
                f"--pca_dim={TRUE_DIM} is no whitening, and --whitening={self.whitening} is one: "
                "leave out one of the two."
            )

    def _check_regions(self) -> None:
        """The vectors of regions are whitened of one encoder, seen once at one shape."""
        if self.rmac_whitening != "regions":
            return
        for asked, flag in (
            (self.pca_dim == TRUE_DIM, f"--pca_dim={TRUE_DIM}"),
            (len(self.members) > 1, f"--model={self.model}"),
            (len(self.scales) > 1, "several --scales"),
            (self.resize not in ("square", "center"), f"--resize={self.resize}"),
        ):
            if asked:
                raise UserError(
                    "--rmac_whitening=regions whitens the regions of one encoder at one size and "
                    f"shape, which {flag} does not go with: leave out one of the two."
                )

    def _check_checkpoint(self) -> None:
        if not self.checkpoint:
            return
        if checkpoint_flag.named(self.checkpoint) is None and "+" in self.model:
            raise UserError(
                f"--checkpoint={self.checkpoint} is one encoder, --model={self.model} is several: "
                "give --model one name for it, or name it in an ensemble's members by "
                f"--checkpoint=NAME={self.checkpoint}."
            )
        if self.weights == "random":
            raise UserError(
                f"--checkpoint={self.checkpoint} brings weights of its own, and --weights=random "
                "gives random ones to every encoder: leave out one of the two."
            )

    @property
    def checkpoints(self) -> dict[str, str]:
        """Where the encoders of one's own lie, by what `model` calls them."""
        if not self.checkpoint:
            return {}
        return checkpoint_flag.named(self.checkpoint) or {self.model: self.checkpoint}

    def saved_ranks(self, database: int) -> int:
        """How many results of a query `save_ranks` asks for, of so many photographs."""
        if self.save_ranks is None:
            return 0
        return database if self.save_ranks == ALL else min(int(self.save_ranks), database)

    def checkpoint_key_of(self, name: str) -> str | None:
        """What `checkpoint_key` says of the encoder called `name`."""
        if self.checkpoint_key is None:
            return None
        several = checkpoint_flag.named(self.checkpoint_key)
        return self.checkpoint_key if several is None else several.get(name)

    @property
    def whitening_file(self) -> str | None:
        """Where a whitening that was learnt elsewhere lies, if it is to be applied."""
        return None if self.whitening in (LEARNT, STORED) else self.whitening

    @property
    def conventions(self) -> dict[str, str]:
        """Those of Vision Transformers that were asked for."""
        said = {name: getattr(self, name) for name in CONVENTIONS}
        return {name: value for name, value in said.items() if value is not None}

    @property
    def members(self) -> tuple[str, ...]:
        """The encoders of an ensemble, or the one encoder."""
        return tuple(self.model.split("+"))

    @property
    def label(self) -> str:
        """What tables call the encoder, and a database of its descriptors that is compressed."""
        return self.model + (RANDOM if self.weights == "random" else "") + self.store_mark

    @property
    def store_mark(self) -> str:
        """What tables put behind the encoder's name."""
        return store_flag.mark(self.store, self.store_rescore)

    @property
    def data_options(self) -> dict[str, Any]:
        """What `jaxret.data.load` is told beside the name."""
        return {
            "data_dir": self.data_dir,
            "manual_dir": self.manual_dir,
            "allow_missing": self.allow_missing,
            "distractors": self.distractors,
            "subset": self.subset,
            "labels": self.labels,
        }
