"""The TFDS builder of Holidays."""
