"""The TFDS builder of Stanford Online Products."""
