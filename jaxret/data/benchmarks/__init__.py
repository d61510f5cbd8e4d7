"""The published benchmarks: what they are, their files, and the TFDS builders that read them."""
