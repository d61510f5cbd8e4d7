"""The TFDS builder of Copydays."""
