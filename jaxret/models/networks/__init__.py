"""The networks in Flax Linen, every layer under its PyTorch name."""
