"""The words that explain a report to someone who has read neither the paper nor this code."""

RANKING_WORDS = {
    "G": "Global search: photographs ordered by how similar their descriptor is to the query's.",
    "AQE": "Average query expansion: the query is averaged with its first results, then searched "
    "again.",
    "DBA": "Database augmentation: each photograph of the database is averaged with its own "
    "nearest neighbours beforehand.",
    "DFS": "Diffusion: similarity spreads from neighbour to neighbour, so that a view too "
    "different to match directly can be reached through views in between.",
}

PROTOCOL_WORDS = {
    "easy": "Only clearly visible views have to be found; difficult ones are ignored.",
    "medium": "Clear and difficult views both have to be found.",
    "hard": "Only difficult views have to be found (small, turned, badly lit, half hidden); clear "
    "ones are ignored.",
    "classic": "Every photograph that shows the object or place has to be found; barely "
    "recognisable ones are ignored.",
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
