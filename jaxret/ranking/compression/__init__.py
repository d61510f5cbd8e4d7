"""Compressed databases: codecs learnt on descriptors, and an index that searches in codes."""

from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.compression.learning import STORES, learn

__all__ = ["STORES", "CompressedIndex", "learn"]
