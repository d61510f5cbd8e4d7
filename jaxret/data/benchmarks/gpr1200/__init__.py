"""The TFDS builder of GPR1200."""
