"""Diffusion (DFS) on the mutual neighbour graph: offline rows, inductive and joint search."""
