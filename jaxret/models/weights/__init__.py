"""Weights on disk: where they lie, loading, saving, download, random ones."""
