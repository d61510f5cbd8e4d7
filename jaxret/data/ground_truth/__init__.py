"""Ground truth: read from files or folders, and checked."""
