"""The TFDS builder of Paris6k."""
