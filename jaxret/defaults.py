"""The numbers of the study, each in one place: functions and settings take their defaults here.

Source, where nothing else is said: Krishna, McGuinness, O'Connor, "Evaluating Contrastive Models
for Instance-based Image Retrieval", ICMR 2021. This module imports nothing, so that `--help` stays
fast.
"""

IMAGE_SIZE = 724  # pixels a side, section 4: "fixed resolution of 724x724"

BN_MOMENTUM = 0.1  # PyTorch's BatchNorm default: new = 0.9 old + 0.1 batch
BN_BATCH_SIZE = 32

RMAC_LEVELS = 3  # Tolias et al., ICLR 2016
PCA_DIM = 512
CHECKPOINT_PCA_POWER = 0.25  # of the variance, as the release of GeM(AP) evaluates itself

GEM_P = 3.0  # Radenovic et al., TPAMI 2018; DINO's copy detection takes 4
CROW_A, CROW_B = 2.0, 2.0  # Kalantidis et al., ECCVW 2016, and their public code

# What makes one vector of an encoder's outputs, see `jaxret.descriptors.pooling_rows`.
POOLINGS = (
    *("rmac", "gem", "mac", "spoc", "crow"),
    *("cls", "mean", "pooled", "cls+gem", "cls+mean"),
)
# What GeM does with values below 0, which it has no power of.
GEM_NEGATIVES = ("clamp", "shift")

# An option the study does not use: Radenovic et al., TPAMI 2018.
MULTISCALES = (1.0, 2**-0.5, 0.5)  # of the side lengths
MULTISCALE_POWER = 1.0  # 1 is the mean
PCA_PHOTOGRAPHS_PER_DIM = 4  # below that, whitening amplifies noise (measured on small sets)
PCA_PHOTOGRAPHS = (
    32  # below that no whitening is learnt: fewer than 8 dimensions (docs/decisions.md)
)

AQE_N = 10
AQE_N_WITH_DBA = 1  # Gordo et al., IJCV 2017 (README of their release: --aqe 1 --dbe 20)
DBA_N = 20  # neighbours beside the photograph itself

# Yang et al., "Efficient Image Retrieval via Decoupling Diffusion into Online and Offline
# Processing", AAAI 2019, and the hard-set values of their public code.
DFS_TRUNCATION = 1000
DFS_KD = 50  # neighbours a node keeps in the graph, itself counted
DFS_KQ = 10  # database neighbours of a query in the inductive form
DFS_GAMMA = 3.0  # affinity = max(similarity, 0) ** gamma
DFS_ALPHA = 0.99
CG_TOLERANCE = 1e-6  # relative to the right-hand side
CG_ROUNDS = 20

# Shao et al., "Global Features are All You Need for Image Retrieval and Reranking", ICCV 2023.
SUPERGLOBAL_M = 400
SUPERGLOBAL_K = 9
SUPERGLOBAL_BETA = 0.15
# Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017; within
# as many results as SuperGlobal looks at.
K_RECIPROCAL_M = SUPERGLOBAL_M
K_RECIPROCAL_K1 = 20
K_RECIPROCAL_K2 = 6
K_RECIPROCAL_WEIGHT = 0.3  # of the plain distance

AP_BINS = 20  # of the listwise loss; Revaud et al., ICCV 2019

PRECISION_AT = (1, 5, 10)  # k of mP@k, Radenovic et al., CVPR 2018

# The columns of the paper's Table 1, by the names that tables, files and flags use.
RANKINGS = (
    "G",
    "G+AQE",
    "G+DBA",
    "G+DBA+AQE",
    "G+DFS",
    "G+AQE+DFS",
    "G+DBA+DFS",
    "G+DBA+AQE+DFS",
)

# Rankings beyond the study's, each a row: name -> "module:function", where the function takes
# (queries [Q, D], database [N, D], RankingSettings), all rows L2-normalised, and returns ids
# [Q, N], best first.
OTHER_RANKINGS: dict[str, str] = {}

# Suites beyond the paper's, see `jaxret.runs.own_suites`.
OTHER_SUITES = ("encoders", "poolings")

# How a Vision Transformer treats images of other sizes: the same weights, other
# descriptors. The first of each is what a row does that says nothing else.
CONVENTIONS: dict[str, tuple[str, ...]] = {
    "position_resize": ("original", "hf", "timm"),
    "patch_fit": ("crop", "pad", "resize"),
    "rope_periods": ("file", "float32"),
}
