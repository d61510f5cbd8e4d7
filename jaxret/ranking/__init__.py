"""From descriptors to ranked lists: neighbours, expansion, diffusion."""
