"""The TFDS builder of Google Landmarks v2."""
