"""The TFDS builder of ILIAS core."""
