"""The TFDS builder of the distractors of ILIAS."""
