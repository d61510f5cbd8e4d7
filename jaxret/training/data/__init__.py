"""What a training learns from: photographs with their instances, decoded once, in batches."""
