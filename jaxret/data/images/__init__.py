"""Photographs from encoded bytes to batches of pixels."""
