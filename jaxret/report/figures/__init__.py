"""Plots as SVG and sheets of pictures."""
