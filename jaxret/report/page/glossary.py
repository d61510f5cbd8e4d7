"""The words that explain a report to someone who has read neither the paper nor this code."""

RANKING_WORDS = {
    "G": "Global search: photographs ordered by how similar their descriptor is to the query's.",
    "AQE": "Average query expansion: the query is averaged with its first results, then searched "
    "again.",
    "AQEwD": "Average query expansion in which later results count less.",
    "DBA": "Database augmentation: each photograph of the database is averaged with its own "
    "nearest neighbours beforehand.",
    "DFS": "Diffusion: similarity spreads from neighbour to neighbour, so that a view too "
    "different to match directly can be reached through views in between.",
    "SG": "SuperGlobal: the first results are put in a new order by what they share with their "
    "nearest among themselves.",
    "KR": "k-reciprocal re-ranking: the first results are put in a new order by how many "
    "neighbours they share with the query, counting those that are each other's.",
}

PROTOCOL_WORDS = {
    "easy": "Only clearly visible views have to be found; difficult ones are ignored.",
    "medium": "Clear and difficult views both have to be found.",
    "hard": "Only difficult views have to be found (small, turned, badly lit, half hidden); clear "
    "ones are ignored.",
    "classic": "Every photograph that shows the object or place has to be found; barely "
    "recognisable ones are ignored.",
}

# By key of `evaluation.measures`, without what follows "@".
METRIC_WORDS = {
    "r": "R@k: for how many queries any of the first k results is right, in percent.",
    "map_rect": "mAP (rectangles): the mean of the precisions at each right result, as this "
    "benchmark's makers count it; mAP elsewhere takes trapezoids between them.",
    "map@": "mAP@k: the same over the first k results; what comes later was not found.",
    "oracle": "oracle@k: the share of right photographs among the first k results, in any order.",
    "n-s": "N-S: how many of the first four results are right, 0 to 4, averaged over the queries.",
    "gap": "GAP: all queries' first results in one list, the surest first; being sure of an answer "
    "where there is none costs.",
    "acc": "Accuracy: for how many queries with an answer the first result is right, in percent.",
}

GLOSSARY = {
    "mAP": "Mean average precision. 100 means that for every query all photographs of the same "
    "thing come before any other. Each query's average precision (AP) falls with every wrong "
    "photograph that comes before a right one; mAP is the mean over the queries.",
    "mP@5": "How many of the first five results are right, in percent, averaged over the queries.",
    "Descriptor": "The list of numbers that the encoder makes of a photograph. R-MAC gathers it "
    "from regions of several sizes; PCA-whitening shortens it and evens out directions that all "
    "photographs share.",
    "Junk": "Photographs that count neither as right nor as wrong: they are taken out before "
    "anything is counted.",
}
