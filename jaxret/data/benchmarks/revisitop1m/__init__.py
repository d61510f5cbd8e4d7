"""The TFDS builder of the revisited benchmarks' distractors."""
