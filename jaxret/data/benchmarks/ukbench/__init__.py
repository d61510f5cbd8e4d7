"""The TFDS builder of UKBench."""
