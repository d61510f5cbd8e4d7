"""The TFDS builder of Met."""
