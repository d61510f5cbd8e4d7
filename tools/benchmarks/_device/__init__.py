"""The parts of `tools/benchmark.py device`, each a generator of rows for the report."""
