"""Exact neighbours on a CPU: candidate search, exact re-scoring, matrix products."""
