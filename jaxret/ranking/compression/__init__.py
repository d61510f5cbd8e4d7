"""Compressed databases: codecs learnt on descriptors, and an index that searches in codes."""

from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.compression.learning import learn
from jaxret.store_flag import STORES

__all__ = ["STORES", "CompressedIndex", "learn"]
