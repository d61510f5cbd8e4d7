"""The TFDS builder of Oxford5k."""
