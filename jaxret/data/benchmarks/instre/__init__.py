"""The TFDS builder of INSTRE."""
