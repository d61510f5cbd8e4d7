"""Exact nearest neighbours by inner product, on the host's cores or on devices."""
