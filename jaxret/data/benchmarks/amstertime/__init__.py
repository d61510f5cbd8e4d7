"""The TFDS builder of AmsterTime."""
